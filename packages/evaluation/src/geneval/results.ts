import { join, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import type { WorkFiles } from "@tensorar/core/node";
import {
  checkFolder,
  readChecked,
  readJsonLines,
  toJsonLines,
  writeChecksums,
  writeFileAtomic,
} from "@tensorar/core/node";
import { createTally, type LeftOut, leftOutSchema } from "@tensorar/data";
import {
  countGenEval,
  type Detection,
  GENEVAL_TASKS,
  type GenEvalCounts,
  type GenEvalResult,
  type GenEvalScores,
  genEvalScores,
  mergeGenEval,
} from "@tensorar/metrics";
import { z } from "zod";

/** An object that was found, and its colour where one was asked for. */
export interface FoundObject extends Detection {
  readonly color?: string;
}

/** What became of an image. */
export interface ImageResult extends GenEvalResult {
  readonly image: string;
  readonly prompt: string;
  readonly size: readonly [height: number, width: number];
  readonly objects: readonly FoundObject[];
}

/** What decides the results: images and networks. */
export type GenEvalRecipe = Readonly<Record<"images" | "detector" | "colors", unknown>>;

/** `results.json`. */
export interface GenEvalReport {
  readonly recipe: GenEvalRecipe;
  readonly prompts: number;
  /** Prompts with at least one correct image. */
  readonly correctPrompts: number;
  readonly counts: GenEvalCounts;
  /** null: no images of a task, and so no overall score. */
  readonly scores: Readonly<Record<keyof GenEvalScores, number | null>>;
  readonly images: readonly ImageResult[];
  /** Files among the images that were not scored. */
  readonly leftOut: readonly LeftOut[];
}

/** A line; in the order in which keys are written, so that reading and writing change nothing. */
const imageSchema = z.object({
  image: z.string(),
  prompt: z.string(),
  tag: z.enum(GENEVAL_TASKS),
  correct: z.boolean(),
  reasons: z.array(z.string()),
  size: z.tuple([z.number(), z.number()]),
  objects: z.array(
    z.object({
      class: z.string(),
      score: z.number(),
      box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
      color: z.string().exactOptional(),
    }),
  ),
});
const count = z.strictObject({ images: z.int().nonnegative(), correct: z.int().nonnegative() });
const resultsSchema = z.looseObject({
  recipe: z.looseObject({ images: z.unknown(), detector: z.unknown(), colors: z.unknown() }),
  counts: z.record(z.enum(GENEVAL_TASKS), count),
  images: z.array(imageSchema),
  leftOut: z.array(leftOutSchema).default([]),
});

/** One line for each image that is done. */
export const linesFile = (out: string): string => join(out, "images.jsonl");
const RECIPE = "recipe.json";
const RESULTS = "results.json";

/** What the folder of results holds. */
export const GENEVAL_FILES: WorkFiles = {
  what: "results",
  mark: RECIPE,
  own: ["images.jsonl", RESULTS, "report.html"],
  results: [],
};

/**
 * Begins a folder of results, or finds those that are there.
 * @param out in which no other process works
 * @returns results of the images that are done; damaged lines are left out, and said
 * @throws TensorARError where those that are there were made in another way
 */
export async function openResults(
  out: string,
  recipe: GenEvalRecipe,
  resume: boolean,
  note: (line: string) => void = () => {},
): Promise<readonly ImageResult[]> {
  const file = join(out, RECIPE);
  if (!resume) {
    await writeFileAtomic(file, `${JSON.stringify(recipe, null, 2)}\n`);
    return [];
  }
  const known: Record<string, unknown> = await readChecked(file, z.looseObject({}), "the settings of these results");
  const { values: done, damaged } = await readJsonLines(linesFile(out), imageSchema);
  for (const line of damaged) note(`scored again: ${line}`);
  const changed = Object.entries(recipe).find(([key, value]) => JSON.stringify(known[key]) !== JSON.stringify(value));
  if (changed)
    throw new TensorARError(`${file}: "${changed[0]}" was another; resume with the same, or choose another --output`);
  await writeFileAtomic(linesFile(out), toJsonLines(done)); // without a line that was cut off
  return done;
}

/** Everything about a set of results. */
export function reportOf(
  recipe: GenEvalRecipe,
  images: readonly ImageResult[],
  leftOut: readonly LeftOut[],
  counts = countGenEval(images),
): GenEvalReport {
  const scores = Object.entries(genEvalScores(counts)).map(([name, score]) => [
    name,
    Number.isNaN(score) ? null : score,
  ]);
  const prompts = new Set(images.map(({ prompt }) => prompt));
  const correct = new Set(images.flatMap((image) => (image.correct ? [image.prompt] : [])));
  return {
    recipe,
    prompts: prompts.size,
    correctPrompts: correct.size,
    counts,
    scores: Object.fromEntries(scores) as GenEvalReport["scores"],
    images,
    leftOut,
  };
}

/** Writes `results.json`. */
export async function writeResults(out: string, report: GenEvalReport): Promise<void> {
  await writeFileAtomic(join(out, RESULTS), `${JSON.stringify(report, null, 1)}\n`);
  await writeChecksums(out, [RECIPE, RESULTS]);
}

/**
 * Results of parts, put together: counts add up.
 * @param dirs folders with `results.json`
 * @throws TensorARError for a folder that is named twice, and results of other networks than the first's
 */
export async function mergeResults(dirs: readonly string[]): Promise<GenEvalReport> {
  const twice = dirs.find((dir, i) => dirs.findIndex((other) => resolve(other) === resolve(dir)) !== i);
  if (twice !== undefined) throw new TensorARError(`--merge names ${twice} twice; name each part once`);
  const parts: z.infer<typeof resultsSchema>[] = [];
  for (const dir of dirs) {
    const file = join(dir, RESULTS);
    const part = await readChecked(file, resultsSchema, "results of `tensorar geneval`");
    const counted = countGenEval(part.images);
    const wrong = GENEVAL_TASKS.find((task) => JSON.stringify(counted[task]) !== JSON.stringify(part.counts[task]));
    if (wrong !== undefined)
      throw new TensorARError(`${file}: its counts of "${wrong}" are not those of its images; score that part again`);
    await checkFolder(dir);
    const [first = part] = parts;
    for (const key of ["detector", "colors"] as const)
      if (JSON.stringify(part.recipe[key]) !== JSON.stringify(first.recipe[key]))
        throw new TensorARError(`${file}: "${key}" is not that of ${dirs[0]}; score all parts with the same networks`);
    parts.push(part);
  }
  const { detector, colors } = parts[0]!.recipe;
  const images = parts.flatMap((part) => part.images);
  const tally = createTally();
  for (const { leftOut } of parts) tally.merge(leftOut);
  const counts = mergeGenEval(parts.map(({ counts }) => counts));
  return reportOf({ images: dirs, detector, colors }, images, tally.list(), counts);
}
