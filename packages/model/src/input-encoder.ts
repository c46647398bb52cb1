import * as tf from "@tensorflow/tfjs-core";
import { HIDDEN_SCORE } from "./attention";
import type { ModuleSizes } from "./modules";
import { linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type Initial, type ParameterShapes, type Params, parameter } from "./parameters";

// N windows (rows · slots) · k window · D width · H heads · Dh head width

const PREFIX = "tensorar.input";
const EPSILON = 1e-5;

const layerName = (layer: number, name: string) => `${PREFIX}.layers.${layer}.${name}.weight`;

/** About 3·D² a layer: keys are shared by all heads, which leaves the budget to the output decoder. */
export function inputEncoderShapes({ width, headDim, windowSize, depth }: ModuleSizes): ParameterShapes {
  const shapes: Record<string, number[]> = {
    [`${PREFIX}.norm.weight`]: [width],
    [`${PREFIX}.index.weight`]: [windowSize, width],
  };
  for (let layer = 0; layer < depth; layer++) {
    shapes[layerName(layer, "norm")] = [width];
    shapes[layerName(layer, "wq")] = [width, width];
    shapes[layerName(layer, "wkv")] = [headDim + width, width];
    shapes[layerName(layer, "wo")] = [width, width];
  }
  return shapes;
}

/** Norms at 1, index embeddings as large as the normed tokens, the last projection at 0, the rest keeps variance. */
export function inputEncoderInitial({ width, depth }: ModuleSizes, name: string): Initial | undefined {
  if (!name.startsWith(`${PREFIX}.`)) return undefined;
  if (name.endsWith("norm.weight")) return "ones";
  if (name === `${PREFIX}.index.weight`) return { std: 1 };
  return name === layerName(depth - 1, "wo") ? "zeros" : { std: 1 / Math.sqrt(width) };
}

/**
 * Δ_in of a window: a query, which starts as entry 0, attends `depth` times over the k normed token embeddings plus a
 * learned embedding of their index; entries that are PAD are masked. Zero as long as the last projection is.
 *
 * Source: Cheng et al. 2026, the input encoder (a query transformer). Ours: no feed-forward inside, since the
 * backbone's own blocks follow; one key head for all query heads.
 *
 * @param embedded [N, k, D]: base embeddings of the entries, anything finite where PAD
 * @param padded float32 [N, k]: 1 where an entry is PAD, else 0
 * @returns [N, D]
 */
export function inputEncoder(
  params: Params,
  sizes: ModuleSizes,
  embedded: tf.Tensor3D,
  padded: tf.Tensor2D,
): tf.Tensor2D {
  const { width, windowSize, depth } = sizes;
  const shapes = inputEncoderShapes(sizes);
  const weight = <T extends tf.Tensor>(name: string) => parameter<T>(params, name, shapes[name]!);

  const flat = tf.reshape(embedded, [-1, width]) as tf.Tensor2D; // [N·k, D]
  const normed = tf.reshape(rmsNorm(flat, weight(`${PREFIX}.norm.weight`), EPSILON), [-1, windowSize, width]);
  const tokens = tf.add(normed, weight(`${PREFIX}.index.weight`)) as tf.Tensor3D; // [N, k, D]
  const [first] = tf.split(tokens, [1, windowSize - 1], 1) as [tf.Tensor];
  const mask = tf.expandDims(tf.mul(padded, HIDDEN_SCORE), 1); // [N, 1, k]

  let query = tf.reshape(first, [-1, width]) as tf.Tensor2D; // [N, D]
  let change = query;
  for (let layer = 0; layer < depth; layer++) {
    if (layer > 0) query = tf.add(query, change);
    const normedQuery = rmsNorm(query, weight(layerName(layer, "norm")), EPSILON);
    const queries = linear(normedQuery, weight(layerName(layer, "wq"))) as tf.Tensor2D;
    const mixed = attend(queries, linear(tokens, weight(layerName(layer, "wkv"))), mask, sizes);
    change = linear(mixed, weight(layerName(layer, "wo"))) as tf.Tensor2D;
  }
  return change;
}

/**
 * @param queries [N, D]
 * @param keysValues [N, k, Dh + D]: the shared key and the values of all heads
 * @param mask [N, 1, k]
 * @returns [N, D]
 */
function attend(queries: tf.Tensor2D, keysValues: tf.Tensor, mask: tf.Tensor, sizes: ModuleSizes): tf.Tensor2D {
  const { width, headDim, windowSize } = sizes;
  const heads = width / headDim;
  const [keys, values] = tf.split(keysValues, [headDim, width], -1) as [tf.Tensor, tf.Tensor];
  const scaled = tf.mul(tf.reshape(queries, [-1, heads, headDim]), 1 / Math.sqrt(headDim)); // [N, H, Dh]
  const shares = tf.softmax(tf.add(tf.matMul(scaled, keys, false, true), mask)); // [N, H, k]
  const byHead = tf.transpose(tf.reshape(values, [-1, windowSize, heads, headDim]), [0, 2, 1, 3]); // [N, H, k, Dh]
  return tf.reshape(tf.matMul(tf.expandDims(shares, 2), byHead), [-1, width]) as tf.Tensor2D;
}
