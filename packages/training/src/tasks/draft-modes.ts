import type { TensorData, TensorSpec } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import {
  type Condition,
  type ConditionSpecs,
  type Params,
  selfWindows,
  type TensorARModel,
  windowLoss,
} from "@tensorar/model";
import { corruptWindows, hiddenTokens, PAD, slideWindows } from "@tensorar/noise";
import type { Tensors } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import { int32, tokensOf, uniformsOf } from "./host-tensors";
import type { Noising } from "./noising";

// B images of a batch · T tokens · k window · F sub-tokens

/** Windows of the same images in which the drafts are noised truth, blanked, or hidden for half of the tokens. */
export type DraftModeSpecs = {
  readonly condition: ConditionSpecs;
  /** int32 [B, T, k] */
  readonly targets: TensorSpec;
  /** int32 [B, T-1, k]: as in training. */
  readonly noised: TensorSpec;
  /** int32 [B, T-1, k]: no entry after the first shows truth. */
  readonly blanked: TensorSpec;
  /** int32 [B, T-1, k]: half of the tokens have no true view, the others only true ones. */
  readonly othersShown: TensorSpec;
  /** int32 [B, T, k]: final tokens that have no true view in `othersShown`, PAD for all others. */
  readonly hiddenTargets: TensorSpec;
  /** float32 [2, B, T, k] or [2, B, T, k, F]: draws of two passes */
  readonly uniforms: TensorSpec;
};

/** Fraction of the tokens without a true view in the measure `cross`. */
const HIDDEN = 0.5;

interface Sizes {
  readonly tokens: number;
  readonly windowSize: number;
  readonly vocabSize: number;
  readonly factors: number | undefined;
}

const sizesOf = ({ backbone, windowSize }: TensorARModel<Condition>): Sizes => ({
  tokens: backbone.tokens,
  windowSize,
  vocabSize: backbone.vocabSize,
  factors: backbone.factors?.sizes.length,
});

/** Specs of batches of B images. */
export function draftModeSpecs(
  model: TensorARModel<Condition>,
  condition: ConditionSpecs,
  batch: number | string,
): DraftModeSpecs {
  const { tokens: T, windowSize: k, factors } = sizesOf(model);
  const codes = (count: number): TensorSpec => ({ dtype: "int32", shape: [batch, count, k] });
  return {
    condition,
    targets: codes(T),
    noised: codes(T - 1),
    blanked: codes(T - 1),
    othersShown: codes(T - 1),
    hiddenTargets: codes(T),
    uniforms: { dtype: "float32", shape: [2, batch, T, k, ...(factors === undefined ? [] : [factors])] },
  };
}

/** What {@link draftModes} reads of some images, but for their condition. @param index tells batches apart: random numbers are addressed by it */
export function draftModeFeeds(
  model: TensorARModel<Condition>,
  codes: Codes,
  images: Int32Array,
  { noising, seed, index }: { readonly noising: Noising; readonly seed: number; readonly index: number },
): Omit<Record<keyof DraftModeSpecs, TensorData>, "condition"> {
  const { tokens: T, windowSize: k, vocabSize, factors } = sizesOf(model);
  const B = images.length;
  const tokens = tokensOf(codes, images, T);
  const shape = { batch: B, windowSize: k };
  const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
  const rates = (rate: number) => Float64Array.from({ length: k }, (_, j) => (j === 0 ? 0 : rate));
  const options = { ...shape, count: T - 1, vocabSize, seed, step: index };
  const blank = noising.blank > 0 ? 1 : 0; // a model that knows blanks is shown those
  const corrupt = (own: Pick<Noising, "rates"> & Partial<Noising>) =>
    int32(corruptWindows(clean, { ...options, ...own }), [B, T - 1, k]);
  const targets = slideWindows(tokens, { ...shape, tokens: T });
  return {
    targets: int32(targets, [B, T, k]),
    noised: corrupt(noising),
    blanked: corrupt({ rates: rates(1), blank }),
    othersShown: corrupt({ rates: rates(0), hidden: HIDDEN, blank }),
    hiddenTargets: int32(hiddenOnly(targets, { ...options, hidden: HIDDEN, tokens: T }), [B, T, k]),
    uniforms: uniformsOf([2, B, T, k, ...(factors === undefined ? [] : [factors])], seed, "held-out-drafts", index),
  };
}

/** Targets of final tokens that are hidden; PAD elsewhere. */
function hiddenOnly(
  targets: Int32Array,
  options: {
    readonly batch: number;
    readonly tokens: number;
    readonly windowSize: number;
    readonly count: number;
    readonly seed: number;
    readonly step: number;
    readonly hidden: number;
  },
): Int32Array {
  const { batch, tokens: T, windowSize: k } = options;
  const kept = new Int32Array(targets.length).fill(PAD);
  for (let b = 0; b < batch; b++) {
    const hidden = hiddenTokens(options, b);
    for (let i = 0; i < T; i++) if (hidden[i]) kept[(b * T + i) * k] = targets[(b * T + i) * k]!;
  }
  return kept;
}

/** Cross-entropy in nats and fraction of top-1 hits of each depth: [k] each. */
export interface DepthMetrics {
  readonly crossEntropy: tf.Tensor;
  readonly accuracy: tf.Tensor;
}

/** What a model makes of different drafts on the same images. */
export interface DraftModes {
  /** Drafts are noised truth, as in training. */
  readonly noisedTruth: DepthMetrics;
  /** Drafts are the model's own. */
  readonly ownDrafts: DepthMetrics;
  /** There are no drafts. */
  readonly blanked: DepthMetrics;
  /**
   * [], in nats: what true views of other tokens give to the prediction of tokens that have none of their own. Where it is near 0,
   * the model does not use drafts to predict other tokens, and refinement can't help it.
   */
  readonly cross: tf.Tensor;
}

/**
 * Measures a model with drafts of four kinds; explicit evidence is left out but for noised truth. Own drafts are those of a second
 * pass, which was shown the drafts of a first pass without any: close to what the loop of generation feeds back. Traceable.
 */
export function draftModes(
  model: TensorARModel<Condition>,
  params: Params,
  batch: Tensors<DraftModeSpecs>,
): DraftModes {
  const { condition, targets, noised, blanked, othersShown, hiddenTargets, uniforms } = batch;
  const factors = model.backbone.factors?.sizes;
  const score = (windows: tf.Tensor, goal = targets, evidence = false): DepthMetrics => {
    const logits = model.forward(params, { condition, windows, targets, evidence }); // [B, T, k, V]
    const { crossEntropy, accuracy } = windowLoss(logits, goal, { factors });
    return { crossEntropy, accuracy };
  };
  const [first, second] = tf.unstack(uniforms) as [tf.Tensor, tf.Tensor];
  const drafts = selfWindows(model, params, { condition, windows: blanked, uniforms: first }); // [B, T-1, k]
  const again = selfWindows(model, params, { condition, windows: drafts, uniforms: second });
  const shown = finalToken(score(othersShown, hiddenTargets));
  const hidden = finalToken(score(blanked, hiddenTargets));
  return {
    noisedTruth: score(noised, targets, true),
    ownDrafts: score(again),
    blanked: score(blanked),
    cross: tf.sub(hidden, shown),
  };
}

/** [] */
export const finalToken = ({ crossEntropy }: Pick<DepthMetrics, "crossEntropy">): tf.Tensor =>
  tf.squeeze(tf.slice(crossEntropy, 0, 1));
