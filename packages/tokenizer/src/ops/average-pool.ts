import * as tf from "@tensorflow/tfjs-core";

/**
 * Mean of every 2×2 pixels: `[N, 2h, 2w, C]` → `[N, h, w, C]`.
 * A mean over reshaped axes, because some backends have no kernel for the gradient of the pooling op.
 */
export function averagePool(x: tf.Tensor4D): tf.Tensor4D {
  const [, H, W, C] = x.shape;
  const blocks = tf.reshape(x, [-1, 2, W / 2, 2, C]); // [N·h, 2, w, 2, C]
  return tf.reshape(tf.mean(blocks, [1, 3]), [-1, H / 2, W / 2, C]);
}
