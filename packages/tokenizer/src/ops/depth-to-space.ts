import * as tf from "@tensorflow/tfjs-core";

/**
 * Channels to 2×2 pixels, `[N, H, W, 4C]` → `[N, 2H, 2W, C]`: the first half of the channels becomes the upper row,
 * the first half of each half its left pixel. Made of reshapes, because the depth-to-space op has no gradient.
 */
export function depthToSpace(x: tf.Tensor4D): tf.Tensor4D {
  const [, H, W, channels] = x.shape;
  const rows = tf.reshape(x, [-1, W, 2, channels / 2]); // [N·H, W, row, column and C]
  const swapped = tf.transpose(rows, [0, 2, 1, 3]); // [N·H, row, W, column and C]
  return tf.reshape(swapped, [-1, 2 * H, 2 * W, channels / 4]);
}
