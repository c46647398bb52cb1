import type * as tf from "@tensorflow/tfjs-core";
import type { ParameterShapes, Params } from "./parameters";

// R rows · L slots · C condition slots · D width · V codes · Hkv key heads · Dh head width · S cached slots

/** What the trunk reads of earlier calls; S may grow from call to call. */
export interface TrunkCache {
  /** One per layer: [R, Hkv, Dh, S]. */
  readonly keys: readonly tf.Tensor[];
  /** One per layer: [R, Hkv, S, Dh]. */
  readonly values: readonly tf.Tensor[];
  /** float32 [R, S], added to the scores: 0 where a slot is filled, -1e9 where not. */
  readonly mask: tf.Tensor;
}

export interface TrunkOutput {
  /** [R, L, D], after the final norm. */
  readonly hidden: tf.Tensor;
  /** New rows, one per layer: [R, Hkv, Dh, L]. */
  readonly keys: tf.Tensor[];
  /** New rows, one per layer: [R, Hkv, L, Dh]. */
  readonly values: tf.Tensor[];
}

/**
 * An autoregressive image model as TensorAR sees it: embeddings, a causal trunk and a head. Implement it to attach
 * TensorAR to a model of your own. All functions are pure; the caller owns what they return.
 */
export interface Backbone {
  /** D */
  readonly width: number;
  /** V */
  readonly vocabSize: number;
  /** T: image tokens in raster order. */
  readonly tokens: number;
  /** C: slots before the image. */
  readonly conditionSlots: number;
  /** Condition that stands for "none" in classifier-free guidance; -1 when the model has none. */
  readonly nullCondition: number;
  readonly cache: { readonly layers: number; readonly heads: number; readonly headDim: number };
  /** Shape of every parameter by name. */
  readonly shapes: ParameterShapes;
  /** int32 [R] → [R, C, D] */
  embedCondition(params: Params, condition: tf.Tensor): tf.Tensor;
  /** int32 [...] in [0, V) → [..., D] */
  embedCodes(params: Params, codes: tf.Tensor): tf.Tensor;
  /**
   * Runs L new slots after the cached ones; without a cache they are the first ones.
   * @param x [R, L, D]
   * @param inputs.positions int32 [L]: their slots, `0 … C + T - 1`
   */
  trunk(
    params: Params,
    x: tf.Tensor,
    inputs: { readonly positions: tf.Tensor; readonly cache?: TrunkCache },
  ): TrunkOutput;
  /** [..., D] → [..., V] */
  head(params: Params, hidden: tf.Tensor): tf.Tensor;
}
