import * as tf from "@tensorflow/tfjs-core";

/**
 * Cross-entropy of every row, in nats, without a reduction: `log Σ exp(x) - x[target]`.
 *
 * `log Σ exp(x)` is taken as `max x - log max softmax(x)`: exact where probabilities underflow, and the softmax is the
 * only full pass that is kept. The gradient `(softmax - onehot) · dy` is written by hand.
 *
 * @param logits [N, V]
 * @param targets int32 [N] in [0, V)
 * @returns [N]
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const codes = tf.range(0, logits.shape[1], 1, "int32"); // [V]
  const onehot = tf.cast(tf.equal(tf.expandDims(targets, 1), codes), "float32"); // [N, V]
  return tf.customGrad((...args) => {
    const [logits, save] = args as unknown as [tf.Tensor2D, tf.GradSaveFunc];
    const probabilities = tf.softmax(logits);
    const logSum = tf.sub(tf.max(logits, -1), tf.log(tf.max(probabilities, -1)));
    save([probabilities, onehot]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => [
      tf.mul(tf.sub(saved[0]!, saved[1]!), tf.expandDims(dy, 1)),
    ];
    return { value: tf.sub(logSum, tf.sum(tf.mul(logits, onehot), -1)), gradFunc };
  })(logits) as tf.Tensor1D;
}
