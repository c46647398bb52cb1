import { TensorARError } from "@tensorar/core";
import { readJson } from "@tensorar/core/node";
import { z } from "zod";

/**
 * A JSON file checked against a schema.
 * @throws TensorARError naming file, key and value; `what` says what the folder should have been
 */
export async function readChecked<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  what: string,
): Promise<z.infer<Schema>> {
  const result = schema.safeParse(await readJson(path, what));
  if (!result.success) throw new TensorARError(`${path}: not ${what}:\n${z.prettifyError(result.error)}`);
  return result.data;
}
