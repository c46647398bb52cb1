import { readFile } from "node:fs/promises";
import { TensorARError } from "../errors";
import { decodeText, parseJson } from "../text";
import { fileError } from "./errors";

/**
 * The text in a file, decoded as `decodeText` says.
 * @throws TensorARError naming the file when it can't be read, or is not text
 */
export const readText = async (path: string): Promise<string> =>
  decodeText(
    await readFile(path).catch((cause) => {
      throw fileError("read", path, cause);
    }),
    path,
  );

/**
 * The value in a JSON file.
 * @param what what the file belongs to, for the error: `a model folder (config.json, model.safetensors)`
 * @throws TensorARError naming the file when it is missing or not JSON
 */
export async function readJson(path: string, what: string): Promise<unknown> {
  const contents = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw fileError("read", path, cause);
    throw new TensorARError(`${path}: there is no such file; expected ${what}`, { code: "missing", cause });
  });
  try {
    return parseJson(contents, path);
  } catch (cause) {
    throw new TensorARError(`${(cause as Error).message}; expected ${what}`, { cause });
  }
}
