import { describeIssues, TensorARError } from "@tensorar/core";
import { readJson } from "@tensorar/core/node";
import type { z } from "zod";

/**
 * A JSON file checked against a schema.
 * @throws TensorARError naming file, key and value; `what` says what the folder should have been
 */
export async function readChecked<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  what: string,
): Promise<z.infer<Schema>> {
  const contents = await readJson(path, what);
  const result = schema.safeParse(contents);
  if (!result.success)
    throw new TensorARError(`${path}: not ${what}: ${describeIssues(result.error.issues, contents)}`);
  return result.data;
}
