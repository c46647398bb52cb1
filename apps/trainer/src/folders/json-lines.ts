import { appendFile, readFile } from "node:fs/promises";
import { decodeText, parseJson } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";

/**
 * Values of a file of one JSON value a line; none where there is no file, and without a last line that a crash cut off.
 * @throws TensorARError naming file and line, when a line is not JSON
 */
export async function readJsonLines<T>(path: string): Promise<T[]> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return new Uint8Array();
    throw fileError("read", path, cause);
  });
  const whole = bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1); // a crash may also cut a character
  return decodeText(whole, path)
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [parseJson(line, `${path}, line ${i + 1}`) as T]));
}

const LINE_FEED = 0x0a;

export const toJsonLines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("");

export const appendJsonLine = (path: string, value: unknown): Promise<void> => appendFile(path, toJsonLines([value]));
