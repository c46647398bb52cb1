import type { Dirent } from "node:fs";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { TensorARError, underTodaysNames } from "@tensorar/core";
import { fileError, readChecked } from "@tensorar/core/node";
import { gridPath, openSamples, refinementPath, type Samples } from "@tensorar/data";
import { type LogEntry, readLog } from "@tensorar/training";
import { z } from "zod";

/** What JSON makes of NaN is null: a depth that no position has a draft for. */
const fractions = z.array(z.number().nullable());
const depthScores = z.object({ crossEntropy: z.array(z.number()).min(1), accuracy: fractions });

/** What `evaluate --output` writes, as far as it is shown; which of it is there depends on the flags. */
const evaluationResults = z.object({
  frechet: z.number().optional(),
  frechetParts: z.array(z.number()).optional(),
  precision: z.number().optional(),
  recall: z.number().optional(),
  refinement: z.object({ flipRate: z.number().optional(), draftAccuracy: fractions }).optional(),
  draftAblation: z
    .object({ noisedTruth: depthScores, ownDrafts: depthScores, blanked: depthScores, cross: z.number().optional() })
    .optional(),
});
const evaluationSchema = z.preprocess(underTodaysNames({ calibration: "draftAblation" }), evaluationResults);

const comparison = z.object({
  file: z.string(),
  output: z.string(),
  batch: z.number(),
  maxAbsError: z.number(),
  largestValue: z.number(),
});
const verificationSchema = z.array(z.preprocess(underTodaysNames({ largestDifference: "maxAbsError" }), comparison));
const timingsSchema = z.array(z.object({ file: z.string(), batch: z.number(), milliseconds: z.number() }));
const commandsSchema = z.array(z.object({ command: z.string(), seconds: z.number() }));

export type Evaluation = Readonly<z.infer<typeof evaluationSchema>>;

/** Samples of a run, and what evaluating them gave. */
export interface SampleSet {
  readonly name: string;
  readonly samples: Samples;
  readonly evaluation?: Evaluation;
}

/** Everything that a run left behind, by what it is; absent parts are empty. */
export interface RunFolder {
  readonly dir: string;
  readonly sets: readonly SampleSet[];
  /** Pictures of `prompts`, samples of a model of text, as PNG files; those that are there. */
  readonly prompts: readonly Uint8Array[];
  readonly logs: readonly { name: string; entries: readonly LogEntry[] }[];
  readonly verification: Readonly<z.infer<typeof verificationSchema>>;
  readonly timings: Readonly<z.infer<typeof timingsSchema>>;
  readonly commands: Readonly<z.infer<typeof commandsSchema>>;
}

/** Names of the folders in a folder; hidden ones, and files that lie there, are none of ours. */
async function foldersIn(dir: string): Promise<string[]> {
  const entries: Dirent[] = await readdir(dir, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw fileError("read the folder", dir, cause);
  });
  return entries
    .filter((entry) => !entry.isFile() && !entry.name.startsWith("."))
    .map(({ name }) => name)
    .sort();
}

/** Grid and refinement of a folder of samples. */
async function picturesOf(samples: string): Promise<Uint8Array[]> {
  if (!existsSync(samples)) return [];
  await openSamples(samples); // complete, and as they were written
  const paths = [gridPath(samples), refinementPath(samples)].filter(existsSync);
  const read = (path: string) =>
    readFile(path).catch((cause) => {
      throw fileError("read", path, cause);
    });
  return Promise.all(paths.map(read));
}

/** Undefined where there is no such file. */
const readOptional = async <Schema extends z.ZodType>(path: string, schema: Schema, what: string) =>
  existsSync(path) ? readChecked(path, schema, what) : undefined;

/**
 * Reads what the commands of a run wrote.
 * @param note is told of damaged lines of logs
 * @throws TensorARError naming the file that is damaged, and where there are no samples
 */
export async function openRunFolder(run: string, note: (line: string) => void = () => {}): Promise<RunFolder> {
  const sets: SampleSet[] = [];
  for (const name of await foldersIn(join(run, "samples"))) {
    const file = join(run, "evaluations", `${name}.json`);
    const evaluation = await readOptional(file, evaluationSchema, "what `tensorar evaluate --output` writes");
    sets.push({ name, samples: await openSamples(join(run, "samples", name)), ...(evaluation && { evaluation }) });
  }
  if (sets.length === 0)
    throw new TensorARError(
      `${run}: no samples/ to report on; write some with \`tensorar sample --output ${join(run, "samples", "NAME")}\``,
      { code: "missing" },
    );
  const logs = [];
  for (const name of await foldersIn(join(run, "training")))
    logs.push({ name, entries: await readLog(join(run, "training", name), note) });
  const [exported, exporter] = [join(run, "export"), "what `tensorar-exporter --json` writes"];
  return {
    dir: run,
    sets,
    prompts: await picturesOf(join(run, "prompts")),
    logs: logs.filter(({ entries }) => entries.length > 0),
    verification: (await readOptional(join(exported, "verification.json"), verificationSchema, exporter)) ?? [],
    timings: (await readOptional(join(exported, "timings.json"), timingsSchema, exporter)) ?? [],
    commands:
      (await readOptional(
        join(run, "commands.json"),
        commandsSchema,
        "commands and their times, as the demo writes",
      )) ?? [],
  };
}
