import * as tf from "@tensorflow/tfjs-core";

// R rows · H query heads · Hkv key heads (H = Hkv · G) · L new slots · S cached slots · Dh head width

/** Keys and values of earlier slots, only read. */
export interface LayerCache {
  /** [R, Hkv, Dh, S] */
  readonly keys: tf.Tensor;
  /** [R, Hkv, S, Dh] */
  readonly values: tf.Tensor;
  /** [R, S], added to the scores: 0 where the slot is filled, a large negative number where it is not. */
  readonly mask: tf.Tensor;
}

/** Added to the score of what may not be seen; finite, so that a row with nothing to see stays finite too. */
export const HIDDEN_SCORE = -1e9;

/**
 * Causal attention of L new slots over cached slots and themselves. Heads that share keys are folded into the rows of
 * one product instead of repeating the keys. Cached and new scores are computed apart and joined, so the caches
 * themselves are never copied.
 *
 * @param queries [R, H, L, Dh], already scaled by 1/√Dh
 * @param keys [R, Hkv, L, Dh]
 * @param values [R, Hkv, L, Dh]
 * @param context.mask [R, L], added to the scores of new slots; every slot sees itself all the same
 * @returns [R, H, L, Dh]
 */
export function attention(
  queries: tf.Tensor,
  keys: tf.Tensor,
  values: tf.Tensor,
  { cache, mask }: { readonly cache?: LayerCache | undefined; readonly mask?: tf.Tensor | undefined } = {},
): tf.Tensor {
  const [, heads, length, headDim] = queries.shape as [number, number, number, number];
  const keyHeads = keys.shape[1]!;
  const group = heads / keyHeads;
  const grouped = group === 1 ? queries : tf.reshape(queries, [-1, keyHeads, group * length, headDim]);

  let own = tf.matMul(grouped, keys, false, true); // [R, Hkv, G·L, L]
  if (length > 1) own = tf.add(own, causalMask(length, group));
  if (length > 1 && mask !== undefined) own = tf.add(own, paddingMask(mask, length, group));
  const mixed = cache === undefined ? tf.matMul(tf.softmax(own), values) : mixWithCache(grouped, own, values, cache);
  return group === 1 ? mixed : tf.reshape(mixed, [-1, heads, length, headDim]);
}

/** Softmax over cached and own scores together, then the weighted values: [R, Hkv, G·L, Dh]. */
function mixWithCache(queries: tf.Tensor, own: tf.Tensor, values: tf.Tensor, cache: LayerCache): tf.Tensor {
  const mask = tf.expandDims(tf.expandDims(cache.mask, 1), 1); // [R, 1, 1, S]
  const past = tf.add(tf.matMul(queries, cache.keys), mask); // [R, Hkv, G·L, S]
  const probabilities = tf.softmax(tf.concat([past, own], -1));
  const [pastShare, ownShare] = tf.split(probabilities, [past.shape[3]!, own.shape[3]!], -1) as [tf.Tensor, tf.Tensor];
  return tf.add(tf.matMul(pastShare, cache.values), tf.matMul(ownShare, values));
}

/** [R, 1, G · L, L]: what is padding is hidden from all but itself. */
function paddingMask(mask: tf.Tensor, length: number, group: number): tf.Tensor {
  const others = new Float32Array(group * length * length).fill(1);
  for (let row = 0; row < group * length; row++) others[row * length + (row % length)] = 0;
  return tf.mul(tf.expandDims(tf.expandDims(mask, 1), 1), tf.tensor2d(others, [group * length, length]));
}

/** [G · L, L]: slot a sees slots up to a, the same for every head of a group. */
function causalMask(length: number, group: number): tf.Tensor2D {
  const values = new Float32Array(group * length * length);
  for (let row = 0; row < group * length; row++) {
    values.fill(HIDDEN_SCORE, row * length + (row % length) + 1, (row + 1) * length);
  }
  return tf.tensor2d(values, [group * length, length]);
}
