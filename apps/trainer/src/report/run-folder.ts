import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import type { Calibration } from "../evaluation/calibration";
import { loadSamples, type Samples } from "../folders/samples-folder";
import { type LogEntry, readLog } from "../training/run-log";

export interface Evaluation {
  readonly frechet: number;
  readonly precision: number;
  readonly recall: number;
  readonly refinement: { readonly flipRate: number; readonly draftAccuracy: readonly number[] };
  readonly calibration?: Calibration;
}

export interface SampleSet {
  readonly name: string;
  readonly samples: Samples;
  readonly evaluation?: Evaluation;
}

/** Everything that a run left behind, by what it is; absent parts are empty. */
export interface RunFolder {
  readonly sets: readonly SampleSet[];
  readonly logs: readonly { name: string; entries: readonly LogEntry[] }[];
  readonly verification: readonly {
    file: string;
    output: string;
    batch: number;
    largestDifference: number;
    largestValue: number;
  }[];
  readonly timings: readonly { file: string; batch: number; milliseconds: number }[];
  readonly commands: readonly { command: string; seconds: number }[];
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => !name.startsWith(".")).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readOptional<Value>(path: string): Promise<Value | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Value;
  } catch (error) {
    throw new TensorARError(`${path}: not valid JSON (${(error as Error).message}); remove it and run that step again`);
  }
}

export async function openRunFolder(run: string): Promise<RunFolder> {
  const sets: SampleSet[] = [];
  for (const name of await namesIn(join(run, "samples"))) {
    const evaluation = await readOptional<Evaluation>(join(run, "evaluations", `${name}.json`));
    sets.push({ name, samples: await loadSamples(join(run, "samples", name)), ...(evaluation && { evaluation }) });
  }
  if (sets.length === 0)
    throw new TensorARError(
      `${run}: no samples/ to report on; write some with \`tensorar sample --out ${join(run, "samples", "NAME")}\``,
    );
  const logs = [];
  for (const name of await namesIn(join(run, "training")))
    logs.push({ name, entries: await readLog(join(run, "training", name)) });
  return {
    sets,
    logs: logs.filter(({ entries }) => entries.length > 0),
    verification: (await readOptional(join(run, "export", "verification.json"))) ?? [],
    timings: (await readOptional(join(run, "export", "timings.json"))) ?? [],
    commands: (await readOptional(join(run, "commands.json"))) ?? [],
  };
}
