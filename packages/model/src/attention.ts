import { MASK_VALUE } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";

// R rows · H query heads · Hkv key heads (H = Hkv · G) · L new positions · S cached positions, Sr of them recent · Dh head width

/** Keys and values of earlier positions, only read. */
export interface LayerCache extends LayerPositions {
  /** The last of them, which are joined with the new positions: a copy, but one product with both. */
  readonly recent?: LayerPositions | undefined;
}

/** Keys and values of some positions of a layer. */
export interface LayerPositions {
  /** [R, Hkv, S, Dh] */
  readonly keys: tf.Tensor;
  /** [R, Hkv, S, Dh] */
  readonly values: tf.Tensor;
  /** [R, S], added to the scores: 0 where the position is filled, a large negative number where it is not. */
  readonly mask: tf.Tensor;
}

/**
 * What is added to the scores of new positions among themselves: position a sees positions up to a, and of those only what is no
 * padding; every position sees itself all the same. Made once for all layers; undefined for a single position, which needs none.
 *
 * Positions are compared, and no table is built from the number of positions, so that this may be symbolic in a graph.
 *
 * @param positions int32 [L], ascending; or [R, L], each row's own, of which only the order counts
 * @param options.mask [R, L]: 0, or {@link MASK_VALUE} where a position is padding
 * @param options.group G, query heads that share keys
 * @returns [G · L, L], or [R, 1, G · L, L] with a mask
 */
export function causalMask(
  positions: tf.Tensor,
  { mask, group }: { readonly mask?: tf.Tensor | undefined; readonly group: number },
): tf.Tensor | undefined {
  if (positions.shape.at(-1) === 1) return undefined;
  const order = positions.rank === 1 ? positions : orderOfRow(positions);
  const [own, other] = [tf.expandDims(order, 1), tf.expandDims(order, 0)];
  let scores = tf.mul(tf.cast(tf.greater(other, own), "float32"), MASK_VALUE); // [L, L]
  if (mask !== undefined) {
    const others = tf.cast(tf.notEqual(other, own), "float32");
    scores = tf.add(tf.mul(tf.expandDims(tf.expandDims(mask, 1), 1), others), scores); // [R, 1, L, L]
  }
  return group === 1 ? scores : tf.tile(scores, mask === undefined ? [group, 1] : [1, 1, group, 1]);
}

/** int32 [R, L] → 1 … L, as a running count, so that L may be symbolic in a graph. */
function orderOfRow(positions: tf.Tensor): tf.Tensor {
  const row = tf.reshape(tf.slice(positions, [0, 0], [1, -1]), [-1]);
  return tf.cumsum(tf.onesLike(row));
}

/**
 * Causal attention of L new positions over cached positions and themselves. Heads that share keys are folded into the rows of
 * one product instead of repeating the keys. Cached and new scores are computed apart and joined, so the caches
 * themselves are never copied.
 *
 * @param queries [R, H, L, Dh], already scaled by 1/√Dh
 * @param keys [R, Hkv, L, Dh]
 * @param values [R, Hkv, L, Dh]
 * @param context.own from {@link causalMask}
 * @returns [R, H, L, Dh]
 */
export function attention(
  queries: tf.Tensor,
  keys: tf.Tensor,
  values: tf.Tensor,
  { cache, own }: { readonly cache?: LayerCache | undefined; readonly own?: tf.Tensor | undefined } = {},
): tf.Tensor {
  const [, heads, length, headDim] = queries.shape as [number, number, number, number];
  const keyHeads = keys.shape[1]!;
  const group = heads / keyHeads;
  const grouped = group === 1 ? queries : tf.reshape(queries, [-1, keyHeads, group * length, headDim]);
  const late = cache?.recent ? withRecent(cache.recent, keys, values, own) : { keys, values, own };

  const scores = tf.matMul(grouped, late.keys, false, true); // [R, Hkv, G·L, L]
  const seen = late.own === undefined ? scores : tf.add(scores, late.own);
  const mixed =
    cache === undefined ? tf.matMul(tf.softmax(seen), late.values) : mixWithCache(grouped, seen, late.values, cache);
  return group === 1 ? mixed : tf.reshape(mixed, [-1, heads, length, headDim]);
}

/** New positions after recent ones: Sr + L of them. */
function withRecent(recent: LayerPositions, keys: tf.Tensor, values: tf.Tensor, own: tf.Tensor | undefined) {
  const shown = tf.expandDims(tf.expandDims(recent.mask, 1), 1); // [R, 1, 1, Sr]
  const noScore = (x: tf.Tensor) => tf.mul(tf.slice(x, [0, 0, 0, 0], [-1, -1, -1, 1]), 0); // [.., .., .., 1]
  const fresh = own === undefined ? noScore(shown) : own.rank === 4 ? own : tf.expandDims(tf.expandDims(own, 0), 0);
  return {
    keys: tf.concat([recent.keys, keys], 2), // [R, Hkv, Sr + L, Dh]
    values: tf.concat([recent.values, values], 2),
    own: tf.concat([tf.add(shown, noScore(fresh)), tf.add(fresh, noScore(shown))], 3), // [R, 1, G·L or 1, Sr + L]
  };
}

/** Softmax over cached and own scores together, then the weighted values: [R, Hkv, G·L, Dh]. */
function mixWithCache(queries: tf.Tensor, own: tf.Tensor, values: tf.Tensor, cache: LayerCache): tf.Tensor {
  const mask = tf.expandDims(tf.expandDims(cache.mask, 1), 1); // [R, 1, 1, S]
  const past = tf.add(tf.matMul(queries, cache.keys, false, true), mask); // [R, Hkv, G·L, S]
  const probabilities = tf.softmax(tf.concat([past, own], -1));
  const [pastWeights, ownWeights] = tf.split(probabilities, [past.shape[3]!, own.shape[3]!], -1) as [
    tf.Tensor,
    tf.Tensor,
  ];
  return tf.add(tf.matMul(pastWeights, cache.values), tf.matMul(ownWeights, values));
}
