import * as tf from "@tensorflow/tfjs-core";

/** Layer norm over the last axis, without scale and shift: `(x - mean) / √(variance + ε)`. */
export function normalise(x: tf.Tensor, epsilon: number): tf.Tensor {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  return tf.mul(centered, tf.rsqrt(tf.add(tf.mean(tf.square(centered), -1, true), epsilon)));
}

/**
 * `normalise(x) · weight + bias`
 * @param x [..., D]
 * @param weight [D]
 * @param bias [D]
 */
export const layerNorm = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor =>
  tf.add(tf.mul(normalise(x, epsilon), weight), bias);
