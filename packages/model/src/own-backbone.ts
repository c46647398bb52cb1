import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import type { Backbone, Condition } from "./backbone";
import type { OwnBackbone } from "./model-description";

/** What a backbone must have, and how each is told; see `Backbone`. */
const MEMBERS = {
  width: "number",
  vocabSize: "number",
  tokens: "number",
  unconditionalClass: "number",
  condition: "object",
  cache: "object",
  shapes: "object",
  embedCondition: "function",
  embedCodes: "function",
  body: "function",
  head: "function",
} as const satisfies Partial<Record<keyof Backbone, "number" | "object" | "function">>;

/**
 * Imports a backbone from a file of JavaScript, which is run: give only what you trust. The file exports it as default, or as
 * its one export; a function of that place makes it of the configuration in `config.json`.
 *
 * @returns undefined without a path
 * @throws TensorARError naming the file: missing, not JavaScript that loads, or exporting no backbone, with what it lacks
 */
export async function loadBackbone(path: string | undefined): Promise<OwnBackbone | undefined> {
  if (path === undefined) return undefined;
  const file = resolve(path);
  await stat(file).catch((cause) => {
    throw fileError("read", path, cause);
  });
  const exported: Readonly<Record<string, unknown>> = await import(pathToFileURL(file).href).catch((cause: Error) => {
    throw new TensorARError(`${path}: ${cause.message}; correct the module, or compile it to JavaScript first`, {
      cause,
    });
  });
  const values = Object.values(exported);
  const own = exported.default ?? (values.length === 1 ? values[0] : undefined);
  if (typeof own !== "function") return checked(path, own);
  return (config) => {
    try {
      return checked(path, own(config));
    } catch (cause) {
      if (cause instanceof TensorARError) throw cause;
      throw new TensorARError(`${path}: ${(cause as Error).message}; correct the module`, { cause });
    }
  };
}

function checked(path: string, value: unknown): Backbone<Condition> {
  const members = Object(value) as Readonly<Record<string, unknown>>;
  const lacking = Object.entries(MEMBERS).flatMap(([name, type]) =>
    typeof members[name] === type && members[name] !== null ? [] : [`${name} (${type})`],
  );
  if (lacking.length === 0) return value as Backbone<Condition>;
  throw new TensorARError(`${path}: its default export lacks ${lacking.join(", ")}, which a backbone has`);
}
