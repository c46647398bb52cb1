import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { aboveMean, crossEntropy } from "./ops/cross-entropy";
import { expectShape } from "./shapes";
import { joinTokens, splitTokens } from "./sub-tokens";
import { tidy } from "./tidy";

// B images · T tokens · k window · V codes

/** Weights of the depths, and sizes of sub-tokens. */
export interface WindowLossOptions {
  /** w_j: k non-negative numbers, not all 0; uniform when left out. */
  readonly weights?: readonly number[] | undefined;
  /** V_0, V_1, … of a backbone with factors. */
  readonly factors?: readonly number[] | undefined;
  /** ε in [0, 1): what of a target is spread over all codes, in the loss and not in `crossEntropy`; default 0. */
  readonly labelSmoothing?: number | undefined;
}

/** The loss of token windows, and what it consists of. */
export interface WindowLoss {
  /** Scalar, in nats: the weighted mean over all targets that are not PAD. */
  readonly loss: tf.Scalar;
  /** [k]: mean cross-entropy of each depth, in nats; the sum over its sub-tokens. */
  readonly crossEntropy: tf.Tensor1D;
  /** [k]: fraction of targets that are the top-1 code; all of whose sub-tokens are, each given the ones before it. */
  readonly accuracy: tf.Tensor1D;
}

/**
 * Loss of next-tensor prediction: `Σ w_j · CE(logits[i, j], x[i+j]) / Σ w_j` over the targets that are not PAD.
 * Source: Cheng et al. 2026, the training objective; w_j is not given there, so it is uniform by default.
 *
 * Differentiable in `logits` through `loss` and `crossEntropy`. The caller owns the results.
 *
 * @param logits [B, T, k, V], or [B, T, k, V_0 + V_1 + …] with factors
 * @param targets int32 [B, T, k]: codes, PAD = -1 where there is none
 */
export function windowLoss(
  logits: tf.Tensor,
  targets: tf.Tensor,
  { weights, factors, labelSmoothing = 0 }: WindowLossOptions = {},
): WindowLoss {
  return tidy(() => {
    const { windowSize, codes } = checkedSizes(logits, targets, { weights, factors, labelSmoothing });
    const flatLogits = tf.reshape(logits, [-1, codes]) as tf.Tensor2D; // [N, V]
    const flatTargets = tf.reshape(targets, [-1]) as tf.Tensor1D; // [N]
    const byDepth = (flat: tf.Tensor) => tf.sum(tf.reshape(flat, [-1, windowSize]), 0) as tf.Tensor1D; // [k]

    const counted = tf.cast(tf.greaterEqual(flatTargets, tf.scalar(0, "int32")), "float32"); // [N]
    const counts = byDepth(counted);
    const known = tf.maximum(flatTargets, tf.scalar(0, "int32")) as tf.Tensor1D;
    const parts = factors ? (tf.split(flatLogits, [...factors], 1) as tf.Tensor2D[]) : [flatLogits]; // [N, V_f]
    const codesOf = (factors ? splitTokens(known, factors) : [known]) as tf.Tensor1D[]; // [N]
    const argmax = parts.map((part) => tf.cast(tf.argMax(part, -1), "int32"));
    const entropy = tf.addN(parts.map((part, factor) => crossEntropy(part, codesOf[factor]!)));
    const best = factors ? joinTokens(argmax, factors) : argmax[0]!;
    const sums = byDepth(tf.mul(entropy, counted));
    const minimised =
      labelSmoothing === 0
        ? sums
        : tf.add(sums, tf.mul(byDepth(tf.mul(spread(parts, codesOf), counted)), labelSmoothing));
    const hits = byDepth(tf.cast(tf.equal(best, flatTargets), "float32"));

    const depthWeights = tf.tensor1d(weights ? [...weights] : new Array<number>(windowSize).fill(1));
    const total = tf.sum(tf.mul(counts, depthWeights));
    const atLeastOne = tf.maximum(counts, 1); // a depth without targets scores 0
    return {
      loss: tf.div(tf.sum(tf.mul(minimised, depthWeights)), total) as tf.Scalar,
      crossEntropy: tf.div(sums, atLeastOne) as tf.Tensor1D,
      accuracy: tf.div(hits, atLeastOne) as tf.Tensor1D,
    };
  });
}

/** @throws TensorARError for shapes and options that do not fit */
function checkedSizes(
  logits: tf.Tensor,
  targets: tf.Tensor,
  { weights, factors, labelSmoothing = 0 }: WindowLossOptions,
): { readonly windowSize: number; readonly codes: number } {
  const width = factors?.reduce((a, b) => a + b) ?? "V";
  const shape = expectShape("windowLoss", "logits", logits, ["B", "T", "k", width]);
  const [, tokens, windowSize, codes] = shape as [number, number, number, number];
  expectShape("windowLoss", "targets", targets, ["B", tokens, windowSize]);
  checkWeights(weights, windowSize);
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new TensorARError(`windowLoss: labelSmoothing ${labelSmoothing} is out of range; use 0 … below 1`);
  return { windowSize, codes };
}

/** What smoothed labels add to the cross-entropy of each target, divided by ε; the sum over sub-tokens. */
const spread = (logits: readonly tf.Tensor2D[], codes: readonly tf.Tensor1D[]): tf.Tensor =>
  tf.addN(logits.map((each, factor) => aboveMean(each, codes[factor]!)));

function checkWeights(weights: readonly number[] | undefined, windowSize: number): void {
  if (weights === undefined) return;
  const valid = weights.length === windowSize && weights.every((weight) => weight >= 0 && Number.isFinite(weight));
  if (valid && weights.some((weight) => weight > 0)) return;
  throw new TensorARError(
    `windowLoss: weights [${weights}] do not fit window ${windowSize}; pass ${windowSize} non-negative numbers, not all 0`,
  );
}
