import type { TensorData } from "@tensorar/checkpoint";
import * as tf from "@tensorflow/tfjs-core";
import type { ModuleSizes } from "./modules";
import { type ParameterShapes, type Params, parameter } from "./parameters";

// R rows · T tokens · k window · V codes

/** The parameter s_1 … s_(k-1): what a view at each depth adds to the logit of its code, in nats. */
export const EVIDENCE = "tensorar.evidence.weight";

/** s_1 … s_(k-1) of a model's tensors; undefined where its evidence is implicit. */
export function evidenceIn(tensors: Readonly<Record<string, TensorData>>): number[] | undefined {
  const weights = tensors[EVIDENCE];
  return weights && Array.from(weights.data, Number);
}

export const evidenceShapes = ({ evidence, windowSize }: ModuleSizes): ParameterShapes =>
  evidence === "explicit" ? { [EVIDENCE]: [windowSize - 1] } : {};

/**
 * What the views of all tokens add to their logits: entry j of tensor i shows position i + j, of which the input tensors before i
 * held views at depths j + 1 … k - 1. PAD and BLANK are no views. Source: ours.
 *
 * @param windows int32 [R, T-1, k]: the input tensors
 * @param vocabSize V
 * @returns [R, T, k, V]; all 0 at entry k - 1, which nothing before has shown
 */
export function evidenceOf(params: Params, sizes: ModuleSizes, windows: tf.Tensor, vocabSize: number): tf.Tensor {
  const { windowSize } = sizes;
  const tokens = windows.shape[1]! + 1;
  const weights = parameter<tf.Tensor1D>(params, EVIDENCE, [windowSize - 1]);
  const entries = tf.unstack(windows, 2).slice(1); // [R, T-1] at depths 1 … k-1
  const codes = tf.range(0, vocabSize, 1, "int32");
  const shown = entries.map((entry, i) => {
    const isCode = tf.cast(tf.equal(tf.expandDims(entry, -1), codes), "float32");
    return tf.mul(isCode, tf.slice(weights, i, 1)); // [R, T-1, V]; tfjs can't differentiate an unstacked single number
  });
  const none = tf.zerosLike(
    tf.pad(shown[0]!, [
      [0, 0],
      [1, 0],
      [0, 0],
    ]),
  ); // [R, T, V]
  const ofEntries = Array.from({ length: windowSize }, (_, entry) => {
    const views = shown.slice(entry).map((each, i) => {
      const distance = i + 1; // from the tensor that showed the view to the one that predicts
      const early = tf.slice(each, [0, 0, 0], [-1, tokens - distance, -1]);
      return tf.pad(early, [
        [0, 0],
        [distance, 0],
        [0, 0],
      ]); // [R, T, V]
    });
    return views.length === 0 ? none : tf.addN(views);
  });
  return tf.stack(ofEntries, 2);
}
