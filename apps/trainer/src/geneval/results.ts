import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { readJson, writeFileAtomic } from "@tensorar/core/node";
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
import { readChecked } from "../folders/checked-json";
import { readJsonLines, toJsonLines } from "../folders/json-lines";
import { createTally, type LeftOut, leftOutSchema } from "../input/left-out";

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

/** One line for each image that is done. */
export const linesFile = (out: string): string => join(out, "images.jsonl");
const RECIPE = "recipe.json";
const RESULTS = "results.json";

/**
 * Makes the folder of results ready.
 * @returns results of the images that are done
 * @throws TensorARError where it holds results that were not asked for, or that were made in another way
 */
export async function openResults(out: string, recipe: GenEvalRecipe, resume: boolean): Promise<ImageResult[]> {
  const file = join(out, RECIPE);
  await mkdir(out, { recursive: true });
  const done = await readJsonLines<ImageResult>(linesFile(out));
  if (done.length === 0 && !existsSync(join(out, RESULTS))) {
    await writeFileAtomic(file, `${JSON.stringify(recipe, null, 2)}\n`);
    return [];
  }
  if (!resume)
    throw new TensorARError(`${out} already holds results; continue them with --resume or choose another --out`);
  const known = (await readJson(file, "the settings of these results")) as GenEvalRecipe;
  const changed = Object.entries(recipe).find(
    ([key, value]) => JSON.stringify(known[key as keyof GenEvalRecipe]) !== JSON.stringify(value),
  );
  if (changed)
    throw new TensorARError(`${file}: "${changed[0]}" was another; resume with the same, or choose another --out`);
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
    ...{ recipe, prompts: prompts.size, correctPrompts: correct.size, counts },
    scores: Object.fromEntries(scores) as GenEvalReport["scores"],
    ...{ images, leftOut },
  };
}

export const writeResults = (out: string, report: GenEvalReport): Promise<void> =>
  writeFileAtomic(join(out, RESULTS), `${JSON.stringify(report, null, 1)}\n`);

const count = z.strictObject({ images: z.int(), correct: z.int() });
const resultsSchema = z.looseObject({
  recipe: z.looseObject({}),
  counts: z.strictObject(Object.fromEntries(GENEVAL_TASKS.map((task) => [task, count]))),
  images: z.array(z.looseObject({ image: z.string(), prompt: z.string(), correct: z.boolean() })),
  leftOut: z.array(leftOutSchema).default([]),
});

/**
 * Results of parts, put together: counts add up.
 * @param dirs folders with `results.json`
 * @throws TensorARError for a folder that is named twice, and results of other networks than the first's
 */
export async function mergeResults(dirs: readonly string[]): Promise<GenEvalReport> {
  const twice = dirs.find((dir, i) => dirs.findIndex((other) => resolve(other) === resolve(dir)) !== i);
  if (twice !== undefined) throw new TensorARError(`--merge names ${twice} twice; name each part once`);
  const parts: GenEvalReport[] = [];
  for (const dir of dirs) {
    const file = join(dir, RESULTS);
    const part = (await readChecked(file, resultsSchema, "results of `tensorar geneval`")) as unknown as GenEvalReport;
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
