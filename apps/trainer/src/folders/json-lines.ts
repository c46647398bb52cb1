import { appendFile, readFile } from "node:fs/promises";

/** Values of a file of one JSON value a line; none where there is no file, and without a last line that a crash cut off. */
export async function readJsonLines<T>(path: string): Promise<T[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  return complete
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}

export const toJsonLines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("");

export const appendJsonLine = (path: string, value: unknown): Promise<void> => appendFile(path, toJsonLines([value]));
