import { sampleFromLogits } from "@tensorar/model";
import { BLANK } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { type DraftPolicy, draftTemperatureOf } from "../drafts";
import { type Filter, filterLogits } from "./categorical";

// `../drafts` as tensors. B images · k window · V codes

/** A draft policy fixed in a graph; the rates of `renoise` are those that the model was trained with, unless others are given. */
export type GraphDrafts =
  | Exclude<DraftPolicy, { readonly kind: "renoise" }>
  | (Omit<Extract<DraftPolicy, { readonly kind: "renoise" }>, "rates"> & { readonly rates?: readonly number[] });

/** Random numbers of one draw, as `Draws` says: `uniforms` [B, k] of the step, or `gumbels` [B, k, V] of the positions. */
export type DrawNumbers = { readonly uniforms: tf.Tensor } | { readonly gumbels: tf.Tensor };

/** Logits [B, n, V] → int32 [B, n], with the random numbers of entries from `first` on. */
function drawCodes(logits: tf.Tensor, numbers: DrawNumbers, first: number): tf.Tensor {
  const count = logits.shape[1]!;
  if ("gumbels" in numbers)
    return tf.argMax(tf.add(logits, tf.slice(numbers.gumbels, [0, first, 0], [-1, count, -1])), 2);
  return sampleFromLogits(logits, tf.slice(numbers.uniforms, [0, first], [-1, count]));
}

/**
 * Draws entry 0 with temperature and filters, and drafts as their policy says: [B, k, V] → int32 [B, k].
 * @param temperature [B]
 */
export function sampleTensor(
  logits: tf.Tensor,
  numbers: DrawNumbers,
  temperature: tf.Tensor,
  filter: Filter,
  drafts: GraphDrafts,
): tf.Tensor {
  const [, k, V] = logits.shape as [number, number, number];
  const kept = filterLogits(tf.slice(logits, [0, 0, 0], [-1, 1, V]), temperature, filter); // [B, 1, V]
  if (k === 1) return drawCodes(kept, numbers, 0);
  const others = tf.slice(logits, [0, 1, 0], [-1, k - 1, V]); // [B, k-1, V]
  if (drafts.kind === "argmax") {
    return tf.concat([drawCodes(kept, numbers, 0), tf.argMax(others, 2)], 1);
  }
  const temperatures = Array.from({ length: k - 1 }, (_, i) => draftTemperatureOf(drafts, i + 1));
  const flattened = tf.div(others, tf.tensor3d(temperatures, [1, k - 1, 1]));
  return drawCodes(tf.concat([kept, flattened], 1), numbers, 0);
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
  return drafts.kind === "renoise" ? (drafts.rates ?? noiseRates) : undefined;
}

/** Codes that are fed back where no draft is: [B, k] with BLANK at depths 1 … k-1. */
export const blankDrafts = (codes: tf.Tensor): tf.Tensor => {
  const [final, drafts] = tf.split(codes, [1, codes.shape[1]! - 1], 1) as [tf.Tensor, tf.Tensor];
  return tf.concat([final, tf.add(tf.mul(drafts, tf.scalar(0, "int32")), tf.scalar(BLANK, "int32"))], 1);
};

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
