import { sampleFromLogits } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import type { DraftPolicy } from "../drafts";
import { type Filter, filterLogits } from "./categorical";

// `../drafts` as tensors. B images · k window · V codes

/** A draft policy fixed in a graph; the rates of `renoise` are those that the model was trained with. */
export type GraphDrafts = DraftPolicy extends infer P ? (P extends DraftPolicy ? Omit<P, "rates"> : never) : never;

/**
 * Draws entry 0 with temperature and filters, and drafts as their policy says: [B, k, V] → int32 [B, k].
 * @param uniforms [B, k]
 * @param temperature [B]
 */
export function sampleTensor(
  logits: tf.Tensor,
  uniforms: tf.Tensor,
  temperature: tf.Tensor,
  filter: Filter,
  drafts: GraphDrafts,
): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  const kept = filterLogits(tf.slice(logits, [0, 0, 0], [-1, 1, V]), temperature, filter); // [B, 1, V]
  if (k === 1) return sampleFromLogits(kept, uniforms);
  const others = tf.slice(logits, [0, 1, 0], [-1, k - 1, V]); // [B, k-1, V]
  if (drafts.kind === "argmax") {
    const final = sampleFromLogits(kept, tf.slice(uniforms, [0, 0], [-1, 1]));
    return tf.concat([final, tf.argMax(others, 2)], 1);
  }
  const flattened = "temperature" in drafts ? tf.div(others, drafts.temperature ?? 1) : others;
  return sampleFromLogits(tf.concat([kept, flattened], 1), uniforms);
}

/**
 * With which probabilities β(0) … β(k-1) drafts are replaced by noise; undefined: none is.
 * @param noiseRates those of the model's training
 */
export function replacementRates(
  drafts: GraphDrafts,
  windowSize: number,
  noiseRates: readonly number[],
): readonly number[] | undefined {
  if (windowSize === 1) return undefined;
  if (drafts.kind === "noise") return new Array<number>(windowSize).fill(1);
  return drafts.kind === "renoise" ? noiseRates : undefined;
}

/**
 * Codes that are fed back: [B, k], each draft replaced by its noise where its chance, [B, k-1], is below its rate.
 * @param rates β(0) … β(k-1)
 */
export function disturbDrafts(
  codes: tf.Tensor,
  noise: { readonly chances: tf.Tensor; readonly codes: tf.Tensor },
  rates: readonly number[],
): tf.Tensor {
  const drafts = tf.slice(codes, [0, 1], [-1, rates.length - 1]);
  const replaced = tf.less(noise.chances, tf.tensor2d([...rates.slice(1)], [1, rates.length - 1]));
  const chosen = tf.cast(replaced, "int32");
  const fed = tf.add(drafts, tf.mul(chosen, tf.sub(noise.codes, drafts)));
  return tf.concat([tf.slice(codes, [0, 0], [-1, 1]), fed], 1);
}
