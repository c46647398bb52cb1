import * as tf from "@tensorflow/tfjs-core";

/**
 * `x · wᵀ` over the last axis, without bias, as one 2-D product whatever the rank: batched products are slower, and
 * their weight gradient sums over the batch in a pass of its own.
 *
 * @param x [..., in]
 * @param weight [out, in], PyTorch's layout
 * @returns [..., out]
 */
export function linear(x: tf.Tensor, weight: tf.Tensor2D): tf.Tensor {
  const [outputs, inputs] = weight.shape;
  if (x.rank === 2) return tf.matMul(x as tf.Tensor2D, weight, false, true);
  const flat = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
  // -1 and not a size for the first axis: it may be symbolic in a traced graph.
  return tf.reshape(tf.matMul(flat, weight, false, true), [-1, ...x.shape.slice(1, -1), outputs]);
}

/**
 * Rows of a table.
 * @param table [V, D]
 * @param indices int32 [...]
 * @returns [..., D]
 */
export function embed(table: tf.Tensor2D, indices: tf.Tensor): tf.Tensor {
  const rows = tf.gather(table, tf.reshape(indices, [-1]) as tf.Tensor1D);
  return indices.rank === 1 ? rows : tf.reshape(rows, [-1, ...indices.shape.slice(1), table.shape[1]]);
}
