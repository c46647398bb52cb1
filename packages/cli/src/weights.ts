import { weightsFolder } from "@tensorar/core/node";
import { z } from "zod";
import { hubFolder } from "./hub";
import { HUB } from "./hub-repository";
import { type Setting, settingsOf } from "./kinds";

/**
 * A folder of weights: by path, by the name of a package that ships some (`emoji`, `emoji/tensorar`), or as
 * `hf://OWNER/NAME[/PART]`. Commands get its path.
 *
 * @param usual the part of a package or repository that is meant where none is named
 */
export const weights = (usual = "tensorar"): z.ZodString => z.string().meta({ weights: usual });

/**
 * The settings of a command with paths in place of names of weights, which are downloaded where they are on a hub.
 * @throws TensorARError for weights that are not there; the reason of `signal` when it aborts
 */
export async function withWeights(
  schema: z.ZodObject,
  settings: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = { ...settings };
  for (const { key, weights: usual } of settingsOf(schema)) {
    const value = settings[key];
    if (usual !== undefined && typeof value === "string") found[key] = await folderOf(value, usual, signal);
  }
  return found;
}

const folderOf = async (value: string, usual: NonNullable<Setting["weights"]>, signal: AbortSignal): Promise<string> =>
  value.startsWith(HUB) ? hubFolder(value, usual, signal) : weightsFolder(value, usual);
