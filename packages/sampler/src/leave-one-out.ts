import { TensorARError } from "@tensorar/core";
import { viewWeights } from "@tensorar/noise";

/**
 * Takes back what a model makes of a token's own drafts when the token becomes final. A model that was trained on noised truth takes
 * each view of a token, a draft that it was shown, for evidence: one at depth j adds `w_j` to the logit of its code. But a draft
 * was drawn from the model itself, and is none. What is left with all of it taken back is what the past and the drafts of the
 * other tokens say. Source: leave-one-out posteriors, arXiv 2605.22765.
 */
export interface LeaveOneOut {
  /** λ, 0 … 1: the fraction that is taken back. 0 is the paper's loop. */
  readonly strength: number;
  /** β(0) … β(k-1) of the model's training. */
  readonly rates: ArrayLike<number>;
  /** s_1 … s_(k-1) of a model with explicit evidence, whose logits hold none: what is not taken back is added. */
  readonly evidence?: ArrayLike<number> | undefined;
}

/**
 * What is added to the logit of the code that a view at each depth 1 … k-1 showed; empty where nothing is.
 * @param leaveOneOut undefined: the logits stay as the model gives them
 */
export function viewAmounts(leaveOneOut: LeaveOneOut | undefined, vocabSize: number): number[] {
  if (leaveOneOut === undefined) return [];
  const { strength, rates, evidence } = leaveOneOut;
  if (evidence) return strength === 1 ? [] : Array.from(evidence, (each) => (1 - strength) * each);
  return strength === 0 ? [] : viewWeights(rates, vocabSize).map((weight) => -strength * weight);
}

/** @throws TensorARError when the strength is out of range, or rates or evidence do not fit windows of k */
export function checkLeaveOneOut({ strength, rates, evidence }: LeaveOneOut, windowSize: number): void {
  if (!(strength >= 0 && strength <= 1))
    throw new TensorARError(`leaveOneOut: strength ${strength} is out of range; use 0 for none … 1 for all`);
  if (evidence) checkEvidence(evidence, windowSize);
  else checkRates(rates, windowSize);
}

function checkRates(rates: ArrayLike<number>, windowSize: number): void {
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

function checkEvidence(evidence: ArrayLike<number>, windowSize: number): void {
  const numbers = Array.from(evidence);
  if (numbers.length !== windowSize - 1 || numbers.some((each) => !Number.isFinite(each)))
    throw new TensorARError(
      `leaveOneOut: evidence [${numbers.join(", ")}] for windows of ${windowSize}; pass ${windowSize - 1} finite numbers`,
    );
}

/**
 * Adds to the logits of codes that a position's own views showed.
 * @param logits from `offset` on [V], changed in place
 * @param views codes of the views at depths 1 … k-1; negative where there was none
 * @param amounts as {@link viewAmounts}
 */
export function leaveOneOut(
  logits: Float32Array,
  offset: number,
  views: readonly number[],
  amounts: readonly number[],
): void {
  for (const [i, code] of views.entries()) if (code >= 0) logits[offset + code]! += amounts[i]!;
}
