import { TensorARError } from "@tensorar/core";
import { z } from "zod";
import type { Condition } from "./only-with";

/** A number and its bounds; `above` and `below` leave out the bound itself. */
export interface NumberKind {
  readonly kind: "integer" | "number";
  readonly least?: number | undefined;
  readonly above?: number | undefined;
  readonly most?: number | undefined;
  readonly below?: number | undefined;
  readonly multipleOf?: number | undefined;
}

/** Kinds of a single value. */
export type ScalarKind =
  | NumberKind
  | { readonly kind: "text" }
  | { readonly kind: "choice"; readonly of: readonly string[] };

/** What the value of a setting is. A `single` list of one value is that value itself. */
export type Kind =
  | ScalarKind
  | { readonly kind: "switch" }
  | { readonly kind: "list"; readonly of: ScalarKind; readonly single: boolean };

/** A setting of a command, as its schema says it. */
export interface Setting {
  readonly key: string;
  /** The key as a flag, without dashes: `batchSize` → `batch-size`. */
  readonly flag: string;
  readonly kind: Kind;
  readonly description: string;
  readonly required: boolean;
  /** Undefined where the schema gives none. */
  readonly usual: unknown;
  /** Of a folder of weights: the part that is meant where only a package or repository is named. */
  readonly weights: string | undefined;
  /** What it has an effect with: all of these must hold. */
  readonly onlyWith: readonly Condition[];
}

interface JsonProperty {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonProperty[];
  readonly items?: JsonProperty;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly weights?: string;
  readonly onlyWith?: readonly Condition[];
}

/** The flag of a setting, without its dashes: `batch-size` of `batchSize`. */
export const flagOf = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const known = new WeakMap<z.ZodObject, readonly Setting[]>();

/** The settings of a command's schema, in its order. */
export function settingsOf(schema: z.ZodObject): readonly Setting[] {
  const settings = known.get(schema) ?? readSchema(schema);
  known.set(schema, settings);
  return settings;
}

function readSchema(schema: z.ZodObject): Setting[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.entries(json.properties ?? {}).map(([key, value]) => {
    const property = value as JsonProperty;
    return {
      key,
      flag: flagOf(key),
      kind: kindOf(property, key),
      description: property.description ?? "",
      required: json.required?.includes(key) ?? false,
      usual: property.default,
      weights: property.weights,
      onlyWith: property.onlyWith ?? [],
    };
  });
}

function kindOf(property: JsonProperty, key: string): Kind {
  if (property.type === "boolean") return { kind: "switch" };
  if (property.type === "array") return { kind: "list", of: scalarOf(property.items ?? {}, key), single: false };
  const list = property.anyOf?.find(({ type }) => type === "array");
  return list ? { kind: "list", of: scalarOf(list.items ?? {}, key), single: true } : scalarOf(property, key);
}

function scalarOf(property: JsonProperty, key: string): ScalarKind {
  const { type, enum: of, minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below, multipleOf } = property;
  if (of) return { kind: "choice", of };
  if (type === "integer" || type === "number") {
    const [least, most] = [isBound(minimum) ? minimum : undefined, isBound(maximum) ? maximum : undefined];
    return { kind: type, least, above, most, below, multipleOf };
  }
  if (type === "string" || property.anyOf?.every((each) => each.type === "string")) return { kind: "text" };
  throw new TensorARError(`the setting "${key}" is nothing that a flag can give`, { code: "unsupported" });
}

/** zod gives the range of safe integers to integers without bounds. */
const isBound = (bound: number | undefined): boolean =>
  bound !== undefined && Math.abs(bound) !== Number.MAX_SAFE_INTEGER;

/** What is valid, as in "must be …". */
export function expected(kind: Kind): string {
  if (kind.kind === "switch") return "true or false";
  if (kind.kind === "choice") return `one of ${kind.of.join(", ")}`;
  if (kind.kind === "text") return "a text that is not blank";
  if (kind.kind === "list")
    return kind.of.kind === "text"
      ? "texts with commas between them"
      : `${expected(kind.of)}, or several with commas between them`;
  const { least, above, most, below, multipleOf } = kind;
  const number = kind.kind === "integer" ? "a whole number" : "a number";
  const lower = least !== undefined ? `from ${least}` : above !== undefined ? `more than ${above}` : "";
  const upper =
    below !== undefined
      ? `less than ${below}`
      : most === undefined
        ? ""
        : least === undefined
          ? `at most ${most}`
          : `to ${most}`;
  const joint = lower && upper && !upper.startsWith("to") ? " and " : lower && upper ? " " : "";
  const range = `${lower}${joint}${upper}`;
  return [number, range && ` ${range}`, multipleOf !== undefined && `, a multiple of ${multipleOf}`]
    .filter(Boolean)
    .join("");
}

/** What stands for the value in help. */
export function placeholder(kind: Exclude<Kind, { kind: "switch" }>): string {
  if (kind.kind === "list") return `${placeholder(kind.of)}…`;
  if (kind.kind === "choice" && kind.of.join("|").length <= 40) return `<${kind.of.join("|")}>`;
  return { integer: "<n>", number: "<x>", text: "<value>", choice: "<name>" }[kind.kind];
}
