import { TensorARError } from "../errors";
import { describeIssues, type Issue } from "../issues";
import { readJson } from "./text";

/** What checks a value and says what is wrong with it, as schemas of Zod do. */
export interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };
}

/**
 * A JSON file checked against a schema.
 * @throws TensorARError naming file, key and value; `what` says what the folder should have been
 */
export async function readChecked<T>(path: string, schema: Schema<T>, what: string): Promise<T> {
  const contents = await readJson(path, what);
  const result = schema.safeParse(contents);
  if (!result.success)
    throw new TensorARError(`${path}: not ${what}: ${describeIssues(result.error.issues, contents)}`);
  return result.data;
}
