import { attention, type Backbone, causalMask, layerCaches, type ParameterShapes } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";

const [D, heads, layers, tokens, codes, classes] = [32, 4, 2, 16, 11, 3];

const shapes: ParameterShapes = Object.assign(
  { "class.weight": [classes + 1, D], "code.weight": [codes, D], "place.weight": [tokens, D] },
  ...Array.from({ length: layers }, (_, layer) => ({
    [`${layer}.qkv.weight`]: [D, 3 * D],
    [`${layer}.proj.weight`]: [D, D],
    [`${layer}.up.weight`]: [D, 4 * D],
    [`${layer}.down.weight`]: [4 * D, D],
  })),
);

/** Layer norm without parameters. */
function norm(x: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
}

/** [..., in] · [in, out] */
function product(x: tf.Tensor, matrix: tf.Tensor): tf.Tensor {
  const [inputs, outputs] = matrix.shape as [number, number];
  const flat = tf.matMul(tf.reshape(x, [-1, inputs]), matrix as tf.Tensor2D);
  return tf.reshape(flat, [-1, ...x.shape.slice(1, -1), outputs]);
}

/** A small transformer with learned places and squared ReLU, conditioned on a class. */
export const ownBackbone: Backbone = {
  width: D,
  vocabSize: codes,
  tokens,
  conditionPositions: 1,
  unconditionalClass: classes,
  shapes,
  condition: { dtype: "int32", shape: [] },
  cache: { layers, heads, headDim: D / heads },
  embedCondition: (params, condition) => tf.expandDims(tf.gather(params["class.weight"]!, condition), 1), // [R, 1, D]
  embedCodes: (params, codes) => tf.gather(params["code.weight"]!, codes), // [..., D]
  head: (params, hidden) => product(hidden, tf.transpose(params["code.weight"]!)), // [..., V]
  body(params, x, { positions, cache }) {
    let h = tf.add(x, tf.gather(params["place.weight"]!, positions)); // [R, L, D]
    const own = causalMask(positions, { group: 1 });
    const rows: { keys: tf.Tensor[]; values: tf.Tensor[] } = { keys: [], values: [] };
    for (const [layer, cached] of layerCaches(cache, layers).entries()) {
      const qkv = product(norm(h), params[`${layer}.qkv.weight`]!); // [R, L, 3 · D]
      const byHead = tf.transpose(tf.reshape(qkv, [-1, x.shape[1]!, 3 * heads, D / heads]), [0, 2, 1, 3]);
      const [q, k, v] = tf.split(byHead, 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor]; // [R, H, L, Dh]
      const mixed = attention(tf.mul(q, (D / heads) ** -0.5), k, v, { own, cache: cached });
      const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, x.shape[1]!, D]);
      h = tf.add(h, product(joined, params[`${layer}.proj.weight`]!));
      const inner = tf.square(tf.relu(product(norm(h), params[`${layer}.up.weight`]!)));
      h = tf.add(h, product(inner, params[`${layer}.down.weight`]!));
      rows.keys.push(k); // [R, H, L, Dh]
      rows.values.push(v);
    }
    return { hidden: norm(h), ...rows };
  },
};
