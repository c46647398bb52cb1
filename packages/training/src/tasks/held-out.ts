import type { Codes } from "@tensorar/data";
import { type Condition, type ConditionSpecs, type TensorARModel, windowLoss } from "@tensorar/model";
import { permutation, slideWindows } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainingConditions } from "../conditions/training-conditions";
import type { ArSpecs } from "./ar-task";
import { type DraftModeSpecs, draftModeFeeds, draftModeSpecs, draftModes } from "./draft-modes";
import { int32, tokensOf } from "./host-tensors";
import type { Noising } from "./noising";
import type { Validation } from "./task";

/** Images that are measured while training, at most: enough to tell losses apart by about 0.01 nats. */
const MOST_IMAGES = 512;

export interface HeldOutOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly noising: Noising;
  /** Of the loss at depths 0 … k-1, as in training; default all alike. */
  readonly lossWeights?: readonly number[] | undefined;
}

/** What is measured on held-out images: of a base model its loss, of TensorAR what it makes of drafts, see {@link draftModes}. */
export function heldOut(
  model: TensorARModel<Condition>,
  codes: Codes,
  conditions: TrainingConditions,
  options: HeldOutOptions,
): Validation {
  const { validation } = codes;
  const B = Math.min(options.batchSize, validation.length);
  const order = permutation(validation.length, 0, "held-out"); // the same images whatever the seed of a run
  const images: HeldOutImages = {
    codes,
    batchSize: B,
    batches: Math.floor(Math.min(Math.max(B, MOST_IMAGES), validation.length) / B),
    of: (index) => Int32Array.from({ length: B }, (_, b) => validation[order[index * B + b]!]!),
    spec: conditions.spec(B),
    condition: (images) => conditions.batch(images, new Uint8Array(B), new Float32Array(B)),
  };
  return model.windowSize === 1 ? ofBase(model, images) : ofTensorAR(model, images, options);
}

interface HeldOutImages {
  readonly codes: Codes;
  readonly batchSize: number;
  readonly batches: number;
  readonly of: (index: number) => Int32Array;
  readonly spec: ConditionSpecs;
  readonly condition: (images: Int32Array) => ReturnType<TrainingConditions["batch"]>;
}

/** The loss of a base model. */
function ofBase(
  model: TensorARModel<Condition>,
  { codes, batchSize: B, batches, of, spec, condition }: HeldOutImages,
): Validation<ArSpecs> {
  const { tokens: T, factors } = model.backbone;
  const shape = { batch: B, tokens: T, windowSize: 1 };
  return {
    batchSpec: {
      condition: spec,
      windows: { dtype: "int32", shape: [B, T - 1, 1] },
      targets: { dtype: "int32", shape: [B, T, 1] },
    },
    batches,
    async batch(index) {
      const images = of(index);
      const tokens = tokensOf(codes, images, T);
      return {
        condition: await condition(images),
        windows: int32(slideWindows(tokens, { ...shape, count: T - 1 }), [B, T - 1, 1]),
        targets: int32(slideWindows(tokens, shape), [B, T, 1]),
      };
    },
    metrics: ({ params, batch: { condition, windows, targets } }) => ({
      ...windowLoss(model.forward(params, { condition, windows, targets }), targets, { factors: factors?.sizes }),
    }),
  };
}

/**
 * What TensorAR makes of drafts. The loss is weighted by depth as in training: that of the final token alone would choose a model whose
 * drafts have learnt nothing yet, since a fine-tuning begins with drafts. Drafts are its own where their evidence can be left out; there
 * are none where it can't, since there a better model believes its own drafts the more.
 */
function ofTensorAR(
  model: TensorARModel<Condition>,
  { codes, batchSize, batches, of, spec, condition }: HeldOutImages,
  { noising, seed, lossWeights }: HeldOutOptions,
): Validation<DraftModeSpecs> {
  return {
    batchSpec: draftModeSpecs(model, spec, batchSize),
    batches,
    async batch(index) {
      const images = of(index);
      const feeds = draftModeFeeds(model, codes, images, { noising, seed, index });
      return { condition: await condition(images), ...feeds };
    },
    metrics: ({ params, batch }) => {
      const { noisedTruth, ownDrafts, blanked, cross } = draftModes(model, params, batch);
      return {
        loss: weightedMean((model.evidence === "explicit" ? ownDrafts : blanked).crossEntropy, lossWeights),
        noisedTruth: noisedTruth.crossEntropy,
        ownDrafts: ownDrafts.crossEntropy,
        blanked: blanked.crossEntropy,
        cross,
      };
    },
  };
}

/** Of one number a depth: [k] → []. */
function weightedMean(values: tf.Tensor, weights: readonly number[] | undefined): tf.Scalar {
  if (!weights) return tf.mean(values);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return tf.sum(tf.mul(values, tf.tensor1d(weights.map((weight) => weight / total))));
}
