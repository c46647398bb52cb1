import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { attachTensorAR, type LlamaGenConfig, llamaGen, type Params, type TensorAROptions } from "../src";

/** Normal numbers; the caller's. */
export function randomTensor<T extends tf.Tensor>(name: string, shape: readonly number[], scale = 1): T {
  const stream = createStream(11, name);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * stream.normal());
  return tf.tensor(values, [...shape], "float32") as T;
}

/** Uniform integers in [0, below); the caller's. */
export function randomCodes(name: string, shape: readonly number[], below: number): Int32Array {
  const stream = createStream(12, name);
  return Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => stream.below(below));
}

/** A model small enough for the cpu backend, with grouped heads and a head width of 8. */
export const TINY: LlamaGenConfig = {
  model_type: "c2i",
  dim: 32,
  n_layer: 2,
  n_head: 4,
  n_kv_head: 2,
  multiple_of: 8,
  vocab_size: 19,
  block_size: 16,
  num_classes: 3,
  cls_token_num: 1,
  class_dropout_prob: 0.1,
};

/** The tiny model with modules, and random numbers in every parameter, so that nothing is zero by initialisation. */
export function tinyModel(options: TensorAROptions, config: LlamaGenConfig = TINY) {
  const model = attachTensorAR(llamaGen(config), options);
  const params: Params = Object.fromEntries(
    Object.entries(model.shapes).map(([name, shape]) => [name, randomTensor(name, shape, 0.3)]),
  );
  return { model, params };
}
