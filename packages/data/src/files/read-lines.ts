import { splitLines, TensorARError } from "@tensorar/core";
import { readText } from "@tensorar/core/node";
import { plainText } from "./captions";

/**
 * Lines of a text file that are not empty.
 * @throws TensorARError naming the file, and the line where it is not text
 */
export async function readLines(file: string): Promise<string[]> {
  const lines = splitLines(await readText(file))
    .map((line, i) => plainText(line, `${file}, line ${i + 1}`))
    .filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new TensorARError(`${file} holds no text; write one prompt a line`);
  return lines;
}
