import { existsSync } from "node:fs";
import { join } from "node:path";
import { TensorARError } from "@tensorar/core";

/** Settings that do not change what is trained: a resumed run may differ in these. */
const RUN_ONLY = ["resume", "steps", "engine", "threads", "checkpointEvery", "logEvery", "precision", "out"];

/** The part of the settings that decides what is trained. */
export const recipeOf = (settings: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([key]) => !RUN_ONLY.includes(key)));

/** @throws TensorARError when `out` holds a run already and `resume` was not asked for */
export function refuseOverwrite(out: string, resume: boolean): void {
  if (!resume && (existsSync(join(out, "checkpoints")) || existsSync(join(out, "model.safetensors")))) {
    throw new TensorARError(`${out} already holds a run; continue it with --resume or choose another --out`);
  }
}
