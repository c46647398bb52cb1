import { readFile } from "node:fs/promises";
import { TensorARError } from "../errors";

/**
 * The value in a JSON file.
 * @param what what the file belongs to, for the error: `a model folder (config.json, model.safetensors)`
 * @throws TensorARError naming the file when it is missing or not JSON
 */
export async function readJson(path: string, what: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new TensorARError(`${path}: ${reason}; expected ${what}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TensorARError(`${path}: not valid JSON (${(error as Error).message}); expected ${what}`);
  }
}
