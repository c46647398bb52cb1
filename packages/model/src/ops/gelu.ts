import * as tf from "@tensorflow/tfjs-core";

/** The exact GELU, `x · Φ(x)`, element-wise. Source: Hendrycks & Gimpel 2016; `torch.nn.functional.gelu`. */
export const gelu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5));

/** GELU with the tanh approximation, element-wise. Source: `torch.nn.functional.gelu`, `approximate="tanh"`. */
export function geluTanh(x: tf.Tensor): tf.Tensor {
  const cubic = tf.mul(x, tf.add(tf.mul(tf.square(x), 0.044715), 1)); // x + 0.044715 · x³
  return tf.mul(x, tf.mul(tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1), 0.5));
}
