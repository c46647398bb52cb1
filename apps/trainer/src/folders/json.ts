import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { TensorARError } from "../errors";

/**
 * A JSON file checked against a schema.
 * @throws TensorARError naming file, key and value; `what` says what the folder should have been
 */
export async function readJson<Schema extends z.ZodType>(path: string, schema: Schema, what: string): Promise<z.infer<Schema>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new TensorARError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code}); is this folder ${what}?`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TensorARError(`${path}: not valid JSON (${(error as Error).message}); it should describe ${what}`);
  }
  const result = schema.safeParse(parsed);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys.join(", ") : issue.path.join(".");
    return `"${keys}": ${issue.message}`;
  });
  throw new TensorARError(`${path}: not ${what}: ${issues.join("; ")}`);
}
