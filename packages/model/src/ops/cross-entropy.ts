import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Cross-entropy of every row, in nats, without a reduction: `log Σ exp(x) - x[target]`.
 *
 * `log Σ exp(x)` is taken as `max x - log max softmax(x)`: exact where probabilities underflow, and the softmax is the
 * only full pass that is kept. The gradient `(softmax - onehot) · dy` is written by hand: one product, into which the
 * targets' own gradients are scattered.
 *
 * @param logits [N, V]
 * @param targets int32 [N] in [0, V)
 * @returns [N]
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const forward = (logits: tf.Tensor2D) => {
    const probabilities = tf.softmax(logits);
    const logSum = tf.sub(tf.max(logits, -1), tf.log(tf.max(probabilities, -1)));
    return {
      value: tf.sub(logSum, atTargets(logits, targets)) as tf.Tensor1D,
      saved: [probabilities, targets] as const,
    };
  };
  return withGradient([logits], forward, (dy, saved) => [crossEntropyGradient(dy, saved)]);
}

function crossEntropyGradient(
  dy: tf.Tensor1D,
  [probabilities, targets]: readonly [tf.Tensor2D, tf.Tensor1D],
): tf.Tensor {
  const scaled = tf.mul(probabilities, tf.expandDims(dy, 1)); // [N, V]
  const ofTargets = tf.mul(tf.sub(atTargets(probabilities, targets), 1), dy); // [N]
  return tf.tensorScatterUpdate(scaled, tf.stack([rowsOf(targets), targets], 1), ofTargets);
}

/**
 * What a logit of the target has above the mean of its row, without a reduction: `x[target] - mean x`. `crossEntropy` plus ε times this
 * is the cross-entropy with targets smoothed by ε, `(1 - ε) · onehot + ε / V`. Source: Szegedy et al. 2016, label smoothing.
 *
 * @param logits [N, V]
 * @param targets int32 [N] in [0, V)
 * @returns [N]
 */
export function aboveMean(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const V = logits.shape[1];
  return withGradient(
    [logits],
    (input) => ({
      value: tf.sub(atTargets(input, targets), tf.mean(input, -1)) as tf.Tensor1D,
      saved: [targets, tf.zerosLike(input)] as const,
    }),
    (dy, [codes, zeros]) => {
      const others = tf.sub(zeros, tf.expandDims(tf.div(dy, V), 1)); // [N, V]
      return [tf.tensorScatterUpdate(others, tf.stack([rowsOf(codes), codes], 1), tf.mul(dy, 1 - 1 / V))];
    },
  );
}

/** 0 … N-1 as a running count and not as a constant, so that N may be symbolic in a traced graph. */
const rowsOf = (targets: tf.Tensor1D): tf.Tensor => tf.sub(tf.cumsum(tf.onesLike(targets)), tf.scalar(1, "int32"));

/** x[n, target[n]]: [N, V] → [N]. */
const atTargets = (x: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor =>
  tf.squeeze(tf.gather(x, tf.expandDims(targets, 1), 1, 1), [1]);
