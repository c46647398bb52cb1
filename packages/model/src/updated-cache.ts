import { MASK_VALUE } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";

// B batch · H key heads · Dh head width · S positions of the cache · L positions of this step

/** A cache with its mask, or the rows of new positions. */
export interface CacheTensors {
  /** [B, S], or of the new positions [B, L]; none there where conditions are never padded */
  readonly mask?: tf.Tensor | undefined;
  /** [B, H, S or L, Dh], one per layer */
  readonly keys: readonly tf.Tensor[];
  /** [B, H, S or L, Dh], one per layer */
  readonly values: readonly tf.Tensor[];
}

/**
 * The cache with new positions in it, so that a step can hand the cache to the next one without leaving the device. Positions that
 * are not filled hold 0 and are masked; one past the last is not stored. Sums with products by 0 and 1 are exact.
 *
 * @param positions int32 [L]: where the new rows belong
 */
export function updatedCache(
  cache: CacheTensors & { readonly mask: tf.Tensor },
  rows: CacheTensors,
  positions: tf.Tensor,
): CacheTensors & { readonly mask: tf.Tensor } {
  const places = tf.range(0, cache.mask.shape[1]!, 1, "int32"); // [S]
  const isPlace = tf.cast(tf.equal(tf.expandDims(positions, 1), tf.expandDims(places, 0)), "float32"); // [L, S]
  const placed = tf.reshape(tf.transpose(isPlace), [1, 1, ...isPlace.shape.toReversed()]); // [1, 1, S, L]
  const added = (cached: tf.Tensor, fresh: tf.Tensor) => tf.add(cached, tf.matMul(placed, fresh));
  const shown = tf.add(cache.mask, tf.mul(tf.sum(isPlace, 0, true), -MASK_VALUE)); // [B, S]
  return {
    mask: rows.mask ? tf.add(shown, tf.matMul(rows.mask, isPlace)) : shown,
    keys: cache.keys.map((keys, layer) => added(keys, rows.keys[layer]!)),
    values: cache.values.map((values, layer) => added(values, rows.values[layer]!)),
  };
}
