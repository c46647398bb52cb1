import type { TensorData } from "@tensorar/checkpoint";
import { flatten, type Nested } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import { type LoadedModel, toParams } from "@tensorar/model";
import {
  draftModeFeeds,
  draftModeSpecs,
  draftModes,
  type Engine,
  type Noising,
  type TrainingConditions,
} from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";

/** How well each depth is predicted, in nats and as a fraction; index 0 is the final token. */
export interface DepthScores {
  readonly crossEntropy: number[];
  readonly accuracy: number[];
}

/**
 * What a model makes of its input windows on held-out images (TENSORAR "Report, always"), as `draftModes` measures it: with truth noised
 * as in training, with its own drafts, and without drafts. A model that gains from truth and loses from its own drafts trusts
 * them too much.
 */
export interface DraftAblation {
  readonly noisedTruth: DepthScores;
  readonly ownDrafts: DepthScores;
  readonly blanked: DepthScores;
  /** What true views of other tokens give to tokens without any, in nats. */
  readonly cross: number;
}

const BATCH = 32;

/** What is scored. */
export interface DraftAblationOptions {
  /** Rows of the held-out images. */
  readonly images: Int32Array;
  readonly seed: number;
  /** Stops it, with its reason. */
  readonly signal: AbortSignal;
}

/** Scores a model on held-out images, with drafts of each kind. */
export async function draftAblation(
  { model, tensors, noiseRates, tensorar }: LoadedModel,
  codes: Codes,
  conditions: TrainingConditions,
  engine: Engine,
  { images, seed, signal }: DraftAblationOptions,
): Promise<DraftAblation> {
  const params = toParams(tensors);
  const noising: Noising = {
    rates: Float64Array.from(noiseRates),
    hidden: 0,
    blank: tensorar.blanks ? 0.5 : 0,
    randomRates: false,
    past: 0,
  };
  const specs = draftModeSpecs(model, conditions.spec("batch"), "batch");
  const score = await engine.prepare((batch) => ({ ...draftModes(model, params, batch) }), specs);
  const means = createMeans(images.length);
  try {
    for (let start = 0; start < images.length; start += BATCH) {
      signal.throwIfAborted();
      const some = images.subarray(start, start + BATCH);
      const condition = await conditions.batch(some, new Uint8Array(some.length));
      const feeds = draftModeFeeds(model, codes, some, { noising, seed, index: start / BATCH });
      means.add(await score({ condition, ...feeds }), some.length);
    }
  } finally {
    await score.dispose();
    tf.dispose(params);
  }
  return means.result();
}

/** Means over images of what batches of them give. */
function createMeans(count: number) {
  const sums = new Map<string, Float64Array>();
  const of = (name: string) => Array.from(sums.get(name) ?? []);
  const scoresOf = (mode: string): DepthScores => ({
    crossEntropy: of(`${mode}/crossEntropy`),
    accuracy: of(`${mode}/accuracy`),
  });
  return {
    add(outputs: Nested<TensorData>, weight: number): void {
      for (const [name, { data }] of flatten(outputs, isTensor, "")) {
        const sum = sums.get(name) ?? new Float64Array(data.length);
        for (let i = 0; i < sum.length; i++) sum[i]! += (Number(data[i]) * weight) / count;
        sums.set(name, sum);
      }
    },
    result: (): DraftAblation => ({
      noisedTruth: scoresOf("noisedTruth"),
      ownDrafts: scoresOf("ownDrafts"),
      blanked: scoresOf("blanked"),
      cross: of("cross")[0] ?? 0,
    }),
  };
}

const isTensor = (value: unknown): value is TensorData =>
  typeof value === "object" && value !== null && "dtype" in value && "data" in value;
