import { TensorARError } from "@tensorar/core";
import { readChecked, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import type { Settings } from "../declarations/convert";
import { type CheckedConversion, type Conversion, checkConversion } from "./convert-tensors";

/** Writes the files of what was checked into a folder. */
export type Write = (folder: string, signal: AbortSignal) => Promise<void>;

/** Finds the tensors of a network in a checkpoint, and says what is remarkable about it. @throws TensorARError where they are not there */
export async function check(
  wanted: Pick<Conversion, "source" | "shapes" | "what" | "usual" | "ignored">,
  { weights, root, stripPrefix, precision }: Settings,
): Promise<CheckedConversion> {
  const checked = await checkConversion({ ...wanted, weights, root, stripPrefix, dtype: precision });
  for (const note of checked.notes) console.log(note);
  return checked;
}

/** What a JSON file holds; undefined for what is no file's name. */
export const configFile = async (name: string): Promise<object | undefined> =>
  name.endsWith(".json") ? readChecked(name, z.looseObject({}), "a configuration") : undefined;

/** One of several by its name. @param what what the name is of, for the error */
export function choose<T>(from: Readonly<Record<string, T>>, name: string, what: string): T {
  if (Object.hasOwn(from, name)) return from[name]!;
  const known = Object.keys(from).join(", ");
  throw new TensorARError(`${what}: "${name}" is unknown; ${known ? `choose one of ${known}` : "none is supported"}`);
}

export const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
