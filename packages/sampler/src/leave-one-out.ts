import { TensorARError } from "@tensorar/core";

/**
 * Takes back what a model makes of a token's own drafts when the token becomes final. A model that was trained on noised truth takes
 * each view of a token, a draft that it was shown, for evidence: one at depth j adds `w_j` to the logit of its code. But a draft
 * was drawn from the model itself, and is none. What is left with all of it taken back is what the past and the drafts of the
 * other tokens say. Source: leave-one-out posteriors, arXiv 2605.22765.
 */
export interface LeaveOneOut {
  /** λ, 0 … 1: the share that is taken back. 0, the paper's loop, takes nothing. */
  readonly strength: number;
  /** β(0) … β(k-1) of the model's training. */
  readonly rates: ArrayLike<number>;
}

/**
 * w_1 … w_(k-1): what a view at each depth adds to the logit of its code, `ln((1 - β + β/V) / (β/V))`, the ratio of its likelihoods
 * under the code that it shows and under another one.
 */
export const viewWeights = (rates: ArrayLike<number>, vocabSize: number): number[] =>
  Array.from(rates)
    .slice(1)
    .map((rate) => Math.log((1 - rate + rate / vocabSize) / (rate / vocabSize)));

/** @throws TensorARError when the strength is out of range, or rates do not fit windows of k */
export function checkLeaveOneOut({ strength, rates }: LeaveOneOut, windowSize: number): void {
  if (!(strength >= 0 && strength <= 1))
    throw new TensorARError(`leaveOneOut: strength ${strength} is out of range; use 0 for none … 1 for all`);
  const given = rates?.length ?? 0;
  if (given !== windowSize)
    throw new TensorARError(
      `leaveOneOut: ${given} rates for windows of ${windowSize}; pass β(0) … β(${windowSize - 1}) of the model's training`,
    );
  const bad = Array.from(rates).findIndex((rate, depth) => depth > 0 && !(rate > 0 && rate <= 1));
  if (bad >= 0)
    throw new TensorARError(
      `leaveOneOut: β(${bad}) = ${rates[bad]}; a view that is never noised has no finite weight, use rates above 0 … 1`,
    );
}

/**
 * Subtracts `strength · w_j` from the logits of codes that a position's own views showed.
 * @param logits from `offset` on [V], changed in place
 * @param views codes of the views at depths 1 … k-1; PAD where there was none
 * @param weights w_1 … w_(k-1), times the strength
 */
export function leaveOneOut(
  logits: Float32Array,
  offset: number,
  views: readonly number[],
  weights: readonly number[],
): void {
  for (const [i, code] of views.entries()) if (code >= 0) logits[offset + code]! -= weights[i]!;
}
