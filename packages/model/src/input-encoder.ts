import { MASK_VALUE } from "@tensorar/core";
import { BLANK, PAD } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { ModuleSizes } from "./modules";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type Initial, type ParameterShapes, type Params, parameter } from "./parameters";

// N windows (rows · positions) · k window · D width · H heads · Dh head width · V codes

const PREFIX = "tensorar.input";
const EPSILON = 1e-5;

/** What takes the embedding's place where an entry is BLANK. */
const BLANK_VECTOR = `${PREFIX}.blank.weight`;

const layerName = (layer: number, name: string) => `${PREFIX}.layers.${layer}.${name}.weight`;

/** About 2·D² a layer: keys and values are shared by all heads, which leaves the budget to the output decoder. */
export function inputEncoderShapes({ width, headDim, windowSize, depth, blanks }: ModuleSizes): ParameterShapes {
  const shapes: Record<string, number[]> = {
    [`${PREFIX}.norm.weight`]: [width],
    [`${PREFIX}.index.weight`]: [windowSize, width],
    ...(blanks && { [BLANK_VECTOR]: [1, width] }),
  };
  for (let layer = 0; layer < depth; layer++) {
    shapes[layerName(layer, "norm")] = [width];
    shapes[layerName(layer, "wq")] = [width, width];
    shapes[layerName(layer, "wk")] = [headDim, width];
    shapes[layerName(layer, "wv")] = [headDim, width];
    shapes[layerName(layer, "wo")] = [width, width];
  }
  return shapes;
}

/** Norms at 1, index embeddings as large as the normed tokens, the last projection at 0, the rest keeps variance. */
export function inputEncoderInitial({ width, depth }: ModuleSizes, name: string): Initial | undefined {
  if (!name.startsWith(`${PREFIX}.`)) return undefined;
  if (name.endsWith("norm.weight")) return "ones";
  if (name === `${PREFIX}.index.weight` || name === BLANK_VECTOR) return { std: 1 };
  return name === layerName(depth - 1, "wo") ? "zeros" : { std: 1 / Math.sqrt(width) };
}

export interface EncoderInputs {
  /** [N, D]: base embeddings of entry 0. */
  readonly first: tf.Tensor2D;
  /** int32 [N, k]: codes of all entries, PAD = -1, BLANK = -2. */
  readonly windows: tf.Tensor2D;
  /** Base embeddings: int32 [...] → [..., D]. */
  readonly embedCodes: (codes: tf.Tensor) => tf.Tensor;
  /**
   * V, to project the embedding of every code once and look entries up in the result. Cheaper where windows hold more
   * entries than there are codes; without it every entry is projected for itself.
   */
  readonly sharedCodes: number | undefined;
}

/**
 * Δ_in of a window: a query, which starts as entry 0, attends `depth` times over the k normed token embeddings plus a
 * learned embedding of their index; entries that are PAD are masked, and so are BLANK ones where the model has no vector for
 * them. Zero as long as the last projection is.
 *
 * Source: Cheng et al. 2026, the input encoder (a query transformer). Ours: no feed-forward inside, since the
 * backbone's own blocks follow, and one head of keys and values for all query heads (Shazeer 2019).
 *
 * @returns [N, D]
 */
export function inputEncoder(params: Params, sizes: ModuleSizes, inputs: EncoderInputs): tf.Tensor2D {
  const { width, headDim, windowSize, depth, blanks } = sizes;
  const shapes = inputEncoderShapes(sizes);
  const weight = <T extends tf.Tensor>(name: string) => parameter<T>(params, name, shapes[name]!);

  const norm = weight<tf.Tensor1D>(`${PREFIX}.norm.weight`);
  const index = weight<tf.Tensor2D>(`${PREFIX}.index.weight`); // [k, D]
  const blank = blanks ? weight<tf.Tensor2D>(BLANK_VECTOR) : undefined; // [1, D]
  const project = entryProjection(inputs, norm, index, blank);
  const absent = blanks
    ? tf.equal(inputs.windows, tf.scalar(PAD, "int32"))
    : tf.less(inputs.windows, tf.scalar(0, "int32"));
  const padded = tf.cast(absent, "float32"); // [N, k]
  const mask = tf.expandDims(tf.mul(padded, MASK_VALUE), 1); // [N, 1, k]

  const [index0] = tf.split(index, [1, windowSize - 1]) as [tf.Tensor2D];
  let query = tf.add(rmsNorm(inputs.first, norm, EPSILON), index0) as tf.Tensor2D; // [N, D]
  let change = query;
  for (let layer = 0; layer < depth; layer++) {
    if (layer > 0) query = tf.add(query, change);
    const normedQuery = rmsNorm(query, weight(layerName(layer, "norm")), EPSILON);
    const queries = tf.mul(linear(normedQuery, weight(layerName(layer, "wq"))), 1 / Math.sqrt(headDim));
    const byHead = tf.reshape(queries, [-1, width / headDim, headDim]); // [N, H, Dh]
    const scores = tf.matMul(byHead, project(weight(layerName(layer, "wk"))), false, true); // [N, H, k]
    const mixed = tf.matMul(tf.softmax(tf.add(scores, mask)), project(weight(layerName(layer, "wv")))); // [N, H, Dh]
    change = linear(tf.reshape(mixed, [-1, width]), weight(layerName(layer, "wo"))) as tf.Tensor2D;
  }
  return change;
}

/** `W · (norm(token) + index)` of every entry, as `W · norm(token) + W · index`: [E, D] → [N, k, E]. */
function entryProjection(
  { windows, embedCodes, sharedCodes }: EncoderInputs,
  norm: tf.Tensor1D,
  index: tf.Tensor2D,
  blank: tf.Tensor2D | undefined,
): (matrix: tf.Tensor2D) => tf.Tensor {
  const [windowSize, width] = index.shape;
  let codes = tf.maximum(windows, tf.scalar(0, "int32")); // PAD reads code 0 and is masked
  const distinct = sharedCodes === undefined ? codes : tf.range(0, sharedCodes, 1, "int32");
  let embedded = tf.reshape(embedCodes(distinct), [-1, width]) as tf.Tensor2D; // [V or N·k, D]
  if (blank) {
    const isBlank = tf.cast(tf.equal(windows, tf.scalar(BLANK, "int32")), "int32"); // [N, k]
    if (sharedCodes === undefined) {
      const places = tf.cast(tf.reshape(isBlank, [-1, 1]), "float32"); // [N·k, 1]
      embedded = tf.add(tf.mul(embedded, tf.sub(1, places)), tf.mul(blank, places)); // exact: one of the two is 0
    } else {
      embedded = tf.concat([embedded, blank], 0); // one more code, the last
      codes = tf.add(codes, tf.mul(isBlank, tf.scalar(sharedCodes, "int32")));
    }
  }
  const normed = rmsNorm(embedded, norm, EPSILON);
  return (matrix) => {
    const projected = linear(normed, matrix) as tf.Tensor2D;
    const ofEntries =
      sharedCodes === undefined ? tf.reshape(projected, [-1, windowSize, matrix.shape[0]]) : embed(projected, codes);
    return tf.add(ofEntries, linear(index, matrix));
  };
}
