import { TensorARError } from "@tensorar/core";
import { expectInteger } from "../checks";
import { GENEVAL_TASKS, type GenEvalTask } from "./prompts";
import type { GenEvalResult } from "./score";

/** Images of each task, and how many of them are correct: all that scores need, and it adds up over parts. */
export type GenEvalCounts = Readonly<Record<GenEvalTask, { readonly images: number; readonly correct: number }>>;

/** The columns of the paper's table: the fraction of correct images of each task, and the mean over tasks. */
export type GenEvalScores = Readonly<Record<GenEvalTask | "overall", number>>;

const byTask = <T>(of: (task: GenEvalTask) => T): Readonly<Record<GenEvalTask, T>> =>
  Object.fromEntries(GENEVAL_TASKS.map((task) => [task, of(task)])) as Record<GenEvalTask, T>;

/** Counts images by task, of which some are right. */
export function countGenEval(results: readonly Pick<GenEvalResult, "tag" | "correct">[]): GenEvalCounts {
  return byTask((task) => {
    const ofTask = results.filter(({ tag }) => tag === task);
    return { images: ofTask.length, correct: ofTask.filter(({ correct }) => correct).length };
  });
}

/**
 * Counts of all images from those of disjoint parts; exact.
 * @throws TensorARError for counts that are none, and more correct images than images
 */
export function mergeGenEval(parts: readonly GenEvalCounts[]): GenEvalCounts {
  if (parts.length === 0) throw new TensorARError("mergeGenEval: no parts; pass at least one");
  for (const part of parts)
    for (const task of GENEVAL_TASKS) {
      const { images, correct } = part[task];
      expectInteger("mergeGenEval", `images of ${task}`, images, 0, Number.MAX_SAFE_INTEGER);
      expectInteger("mergeGenEval", `correct images of ${task}`, correct, 0, images);
    }
  const sum = (task: GenEvalTask, of: "images" | "correct") => parts.reduce((total, part) => total + part[task][of], 0);
  return byTask((task) => ({ images: sum(task, "images"), correct: sum(task, "correct") }));
}

/**
 * Scores of counted images; NaN for a task without images, and then overall too.
 * Source: `evaluation/summary_scores.py` of djghosh13/geneval.
 */
export function genEvalScores(counts: GenEvalCounts): GenEvalScores {
  const fractions = byTask((task) => counts[task].correct / counts[task].images);
  const overall = Object.values(fractions).reduce((sum, fraction) => sum + fraction, 0) / GENEVAL_TASKS.length;
  return { ...fractions, overall };
}

/** Scores of images, as {@link genEvalScores}. */
export const summarizeGenEval = (results: readonly GenEvalResult[]): GenEvalScores =>
  genEvalScores(countGenEval(results));
