import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic, writeFolderAtomic } from "@tensorar/core/node";

/** Training state: records of tensors by purpose (`params`, `firstMoment`, …), each keyed by parameter name. */
export type TrainingState = Record<string, Record<string, TensorData>>;

export interface TrainingCheckpoint {
  /** Steps done. */
  readonly step: number;
  readonly state: TrainingState;
}

const FOLDER = /^step-(\d+)$/;
const KEPT = 2;

const checkpointsIn = (run: string): string => join(run, "checkpoints");

async function savedSteps(run: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(checkpointsIn(run));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names
    .flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

const folderOf = (run: string, step: number): string =>
  join(checkpointsIn(run), `step-${String(step).padStart(8, "0")}`);

/** Writes `RUN/checkpoints/step-N` whole or not at all, then removes all but the newest two. */
export async function saveCheckpoint(run: string, { step, state }: TrainingCheckpoint): Promise<void> {
  await mkdir(checkpointsIn(run), { recursive: true });
  const folder = folderOf(run, step);
  const flat = Object.fromEntries(
    Object.entries(state).flatMap(([purpose, record]) =>
      Object.entries(record).map(([name, tensor]) => [`${purpose}/${name}`, tensor]),
    ),
  );
  await writeFolderAtomic(folder, async (temporary) => {
    await writeSafetensors(join(temporary, "state.safetensors"), flat);
    await writeFileAtomic(join(temporary, "state.json"), `${JSON.stringify({ step })}\n`);
  });
  for (const old of (await savedSteps(run)).slice(0, -KEPT))
    await rm(folderOf(run, old), { recursive: true, force: true });
}

/** The newest complete checkpoint of a run, or undefined when it has none yet. */
export async function loadNewestCheckpoint(run: string): Promise<TrainingCheckpoint | undefined> {
  const step = (await savedSteps(run)).at(-1);
  if (step === undefined) return undefined;
  const folder = folderOf(run, step);
  const saved = JSON.parse(await readFile(join(folder, "state.json"), "utf8")) as { step: number };
  if (saved.step !== step)
    throw new TensorARError(
      `${folder}/state.json says step ${saved.step}; remove that folder to resume from an older one`,
    );
  const state: TrainingState = {};
  for (const [key, tensor] of Object.entries(await readSafetensors(join(folder, "state.safetensors")))) {
    const slash = key.indexOf("/");
    const purpose = key.slice(0, slash);
    state[purpose] = { ...state[purpose], [key.slice(slash + 1)]: tensor };
  }
  return { step, state };
}
