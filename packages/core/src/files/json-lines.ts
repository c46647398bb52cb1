import { appendFile, readFile } from "node:fs/promises";
import { TensorARError } from "../errors";
import { describeIssues } from "../issues";
import { decodeText, parseJson } from "../text";
import type { Schema } from "./checked-json";
import { fileError } from "./errors";

/** A file of one JSON value a line. */
export interface JsonLines<T> {
  readonly values: readonly T[];
  /** What is wrong with each line that is left out: `FILE, line N: …`. */
  readonly damaged: readonly string[];
}

const LINE_FEED = 0x0a;

/**
 * Values of a file of one JSON value a line that was appended to; none where there is no file, and without a last line that a
 * crash cut off. Other lines that do not fit the schema are left out and listed.
 * @throws TensorARError when the file can't be read
 */
export async function readJsonLines<T>(path: string, schema: Schema<T>): Promise<JsonLines<T>> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return Buffer.alloc(0);
    throw fileError("read", path, cause);
  });
  const values: T[] = [];
  const damaged: string[] = [];
  for (const [i, line] of wholeLines(bytes).entries()) {
    if (line.length === 0) continue;
    try {
      values.push(parseLine(line, schema, `${path}, line ${i + 1}`));
    } catch (error) {
      if (!(error instanceof TensorARError)) throw error;
      damaged.push(error.message);
    }
  }
  return { values, damaged };
}

/** Without what comes after the last line feed. Bytes, so that one line that is no text spoils no other. */
function wholeLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let begin = 0; ; ) {
    const end = bytes.indexOf(LINE_FEED, begin);
    if (end < 0) return lines;
    lines.push(bytes.subarray(begin, end));
    begin = end + 1;
  }
}

function parseLine<T>(bytes: Uint8Array, schema: Schema<T>, where: string): T {
  const contents = parseJson(decodeText(bytes, where), where);
  const result = schema.safeParse(contents);
  if (result.success) return result.data;
  throw new TensorARError(`${where}: ${describeIssues(result.error.issues, contents)}`);
}

/** One line of JSON for each value. */
export const toJsonLines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("");

/**
 * Appends one line of JSON.
 * @throws TensorARError when the system refuses; a part of the line may be written then, which reading leaves out
 */
export const appendJsonLine = (path: string, value: unknown): Promise<void> =>
  appendFile(path, toJsonLines([value])).catch((cause) => {
    throw fileError("write", path, cause);
  });
