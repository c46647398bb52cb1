import { quote, TensorARError } from "./errors";

/**
 * Refuses options that are absent or lack what must be given, which `required` names.
 * @param where the function that takes them
 * @throws TensorARError that names what is missing
 */
export function requireOptions<O extends object>(
  where: string,
  options: O,
  required: readonly (keyof O & string)[],
): void {
  if (typeof options !== "object" || options === null)
    throw new TensorARError(
      `${where}: options are ${quote(options ?? null)}; pass an object${required.length > 0 ? ` with ${required.join(", ")}` : ""}`,
    );
  const missing = required.filter((name) => (options[name] ?? undefined) === undefined);
  if (missing.length > 0)
    throw new TensorARError(`${where}: ${missing.join(", ")} missing in the options; pass all of them`);
}
