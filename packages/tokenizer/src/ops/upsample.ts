import * as tf from "@tensorflow/tfjs-core";

/**
 * Nearest-neighbour upsampling by 2: `[N, H, W, C]` → `[N, 2H, 2W, C]`.
 * Made of concatenations, because the resize op's gradient is wrong on some backends for more than one image.
 */
export function upsample(x: tf.Tensor4D): tf.Tensor4D {
  const [, H, W, C] = x.shape;
  const pixels = tf.reshape(x, [-1, C]); // [N·H·W, C]
  const rows = tf.reshape(tf.concat([pixels, pixels], 1), [-1, 2 * W * C]); // [N·H, 2W·C], every pixel twice
  return tf.reshape(tf.concat([rows, rows], 1), [-1, 2 * H, 2 * W, C]); // every row twice
}
