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
  return tf.customGrad((...args) => {
    const [logits, save] = args as unknown as [tf.Tensor2D, tf.GradSaveFunc];
    const probabilities = tf.softmax(logits);
    const logSum = tf.sub(tf.max(logits, -1), tf.log(tf.max(probabilities, -1)));
    save([probabilities, targets]);
    return { value: tf.sub(logSum, atTargets(logits, targets)), gradFunc: crossEntropyGradient };
  })(logits) as tf.Tensor1D;
}

function crossEntropyGradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor {
  const [probabilities, targets] = saved as [tf.Tensor2D, tf.Tensor1D];
  const scaled = tf.mul(probabilities, tf.expandDims(dy, 1)); // [N, V]
  // 0 … N-1 as a running count and not as a constant, so that N may be symbolic in a traced graph.
  const rows = tf.sub(tf.cumsum(tf.onesLike(targets)), tf.scalar(1, "int32"));
  const ofTargets = tf.mul(tf.sub(atTargets(probabilities, targets), 1), dy); // [N]
  return tf.tensorScatterUpdate(scaled, tf.stack([rows, targets], 1), ofTargets);
}

/** x[n, target[n]]: [N, V] → [N]. */
const atTargets = (x: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor =>
  tf.squeeze(tf.gather(x, tf.expandDims(targets, 1), 1, 1), [1]);
