import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import {
  checkFolder,
  fileError,
  readChecked,
  writeChecksums,
  writeFileAtomic,
  writeFolderAtomic,
} from "@tensorar/core/node";
import { z } from "zod";
import type { TrainingState } from "../tasks/task";

export interface TrainingCheckpoint {
  /** Steps done. */
  readonly step: number;
  readonly state: TrainingState;
  /** Of the weights so far, those that were best on held-out images; absent where none were measured. */
  readonly best?: TrainingState[string] | undefined;
}

export const CHECKPOINTS = "checkpoints";
const STATE = "state.json";
const TENSORS = "state.safetensors";
/** What stands beside the records of the state. */
const BEST_WEIGHTS = "best";
const FOLDER = /^step-(\d{8,})$/;

const folderOf = (run: string, step: number): string => join(run, CHECKPOINTS, `step-${String(step).padStart(8, "0")}`);

/** Steps that have a folder, ascending. */
async function savedSteps(run: string): Promise<number[]> {
  const folder = join(run, CHECKPOINTS);
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw fileError("read the folder", folder, cause);
  });
  return names
    .flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * Writes `RUN/checkpoints/step-N` whole or not at all, then removes the others but one.
 * @param before step of the checkpoint to keep, the last good one
 */
export async function saveCheckpoint(
  run: string,
  { step, state, best }: TrainingCheckpoint,
  before: number | undefined,
): Promise<void> {
  const folder = join(run, CHECKPOINTS);
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw fileError("create the folder", folder, cause);
  });
  const flat = Object.fromEntries(
    Object.entries({ ...state, ...(best && { [BEST_WEIGHTS]: best }) }).flatMap(([purpose, record]) =>
      Object.entries(record).map(([name, tensor]) => [`${purpose}/${name}`, tensor]),
    ),
  );
  const fill = async (temporary: string) => {
    await writeSafetensors(join(temporary, TENSORS), flat);
    await writeFileAtomic(join(temporary, STATE), `${JSON.stringify({ step })}\n`);
    await writeChecksums(temporary, [TENSORS, STATE]);
  };
  await writeFolderAtomic(folderOf(run, step), fill, { replace: true }); // only a damaged one can be there
  for (const other of await savedSteps(run))
    if (other !== step && other !== before) await removeCheckpoint(folderOf(run, other));
}

const removeCheckpoint = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true }).catch((cause) => {
    throw fileError("remove the old checkpoint", folder, cause);
  });

/**
 * The newest checkpoint of a run that is whole, or undefined when it has none yet.
 * @param shapes what its state must be, see {@link shapesOf}
 * @param warn is told of each newer one that is damaged, and why
 * @throws TensorARError when there are some and all are damaged
 */
export async function loadNewestCheckpoint(
  run: string,
  shapes: Record<string, string>,
  warn: (message: string) => void,
): Promise<TrainingCheckpoint | undefined> {
  const steps = (await savedSteps(run)).reverse();
  const problems: string[] = [];
  for (const step of steps) {
    try {
      const checkpoint = await readCheckpoint(folderOf(run, step), step, shapes);
      for (const problem of problems) warn(`damaged checkpoint: ${problem}`);
      if (problems.length > 0) warn(`going on from the one before, step ${step}`);
      return checkpoint;
    } catch (error) {
      if (!(error instanceof TensorARError)) throw error;
      problems.push(error.message);
    }
  }
  if (steps.length === 0) return undefined;
  throw new TensorARError(
    `${join(run, CHECKPOINTS)}: every checkpoint is damaged (${problems.join("; ")}); restore one, or start anew with --overwrite`,
  );
}

async function readCheckpoint(
  folder: string,
  step: number,
  shapes: Record<string, string>,
): Promise<TrainingCheckpoint> {
  await checkFolder(folder);
  const saved = await readChecked(join(folder, STATE), z.strictObject({ step: z.int() }), "a checkpoint");
  if (saved.step !== step)
    throw new TensorARError(
      `${join(folder, STATE)} says step ${saved.step}; remove that folder to resume from an older one`,
    );
  const file = join(folder, TENSORS);
  const tensors = await readSafetensors(file);
  const records: TrainingState = {};
  for (const [key, tensor] of Object.entries(tensors)) {
    const slash = key.indexOf("/");
    const purpose = key.slice(0, slash);
    records[purpose] ??= {};
    records[purpose][key.slice(slash + 1)] = tensor;
  }
  const { [BEST_WEIGHTS]: best, ...state } = records;
  expectShapes(shapesOf(state), shapes, file);
  if (best && state.ema) expectShapes(shapesOf({ best }), shapesOf({ best: state.ema }), file);
  return { step, state, best };
}

/** Type and shape of each tensor of a state, by purpose and name. */
export const shapesOf = (state: TrainingState): Record<string, string> =>
  Object.fromEntries(
    Object.entries(state).flatMap(([purpose, record]) =>
      Object.entries(record).map(([name, { dtype, shape }]) => [`${purpose}/${name}`, `${dtype} [${shape}]`]),
    ),
  );

function expectShapes(found: Record<string, string>, wanted: Record<string, string>, file: string): void {
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(found)]))
    if (found[key] !== wanted[key])
      throw new TensorARError(
        `${file}: "${key}" is ${found[key] ?? "missing"}, this training has ${wanted[key] ?? "no such tensor"}`,
      );
}
