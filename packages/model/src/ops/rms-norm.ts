import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Root-mean-square norm over the last axis: `x / √(mean(x²) + ε) · weight`.
 *
 * The gradient is written by hand: autodiff of the composition costs about three times the element-wise passes.
 * Source: Zhang & Sennrich 2019; LlamaGen `autoregressive/models/gpt.py`, `RMSNorm`.
 *
 * @param x [N, D]
 * @param weight [D]
 * @param epsilon added to the mean square
 * @returns [N, D]
 */
export function rmsNorm(x: tf.Tensor2D, weight: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  const forward = (x: tf.Tensor2D, weight: tf.Tensor1D) => {
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon)) as tf.Tensor2D; // [N, 1]
    const normed = tf.mul(x, scale) as tf.Tensor2D; // [N, D]
    return { value: tf.mul(normed, weight) as tf.Tensor2D, saved: [normed, scale, weight] as const };
  };
  return withGradient([x, weight], forward, rmsNormGradient);
}

/** With n = x·s: dn = dy·w, dx = s·(dn - n·mean(dn·n)), dw = Σ_rows dy·n; the mean is a product of dy·n with w. */
function rmsNormGradient(
  dy: tf.Tensor2D,
  [normed, scale, weight]: readonly [tf.Tensor2D, tf.Tensor2D, tf.Tensor1D],
): tf.Tensor[] {
  const width = weight.shape[0];
  const product = tf.mul(dy, normed) as tf.Tensor2D; // [N, D]
  const mean = tf.matMul(product, tf.reshape(tf.div(weight, width), [width, 1]) as tf.Tensor2D); // [N, 1]
  const dx = tf.mul(tf.sub(tf.mul(dy, weight), tf.mul(normed, mean)), scale);
  return [dx, tf.sum(product, 0)];
}
