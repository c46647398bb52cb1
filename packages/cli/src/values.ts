import { TensorARError } from "@tensorar/core";
import { expected, type Kind, type ScalarKind } from "./kinds";

/** No file has such a name, and no setting means anything by it. */
export const isBlank = (text: string): boolean => text.trim() === "" || text.includes("\0");

const INTEGER = /^-?\d+$/;
const DECIMAL = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The value of a setting as a JSON file would hold it. Numbers are decimal, without blanks; those of whole numbers are digits
 * alone. A list is the parts of all texts, split at commas, none of them empty.
 *
 * @param texts what was given: several texts for a list only
 * @throws TensorARError saying what is wrong with the value; it does not name the flag
 */
export function parseValue(kind: Exclude<Kind, { kind: "switch" }>, texts: readonly string[]): unknown {
  if (kind.kind !== "list") return parseScalar(kind, texts.at(-1)!, kind);
  const parts = texts.flatMap((text) => text.split(","));
  if (parts.length > 1 && parts.some((part) => part.trim() === ""))
    throw new TensorARError(`a part of the list is empty; must be ${expected(kind)}`);
  const values = parts.map((part) => parseScalar(kind.of, part.trim(), kind));
  return kind.single && values.length === 1 ? values[0] : values;
}

/** @param setting what the value is, or is a part of */
function parseScalar(kind: ScalarKind, text: string, setting: Kind): unknown {
  const refuse = (what: string): never => {
    throw new TensorARError(`${what}must be ${expected(setting)}`);
  };
  if (isBlank(text)) return refuse("empty; ");
  if (kind.kind === "text") return text;
  if (kind.kind === "choice") return kind.of.includes(text) ? text : refuse("");
  return (kind.kind === "integer" ? INTEGER : DECIMAL).test(text) ? Number(text) : refuse("");
}
