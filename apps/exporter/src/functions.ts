import type { TensorData } from "@tensorar/checkpoint";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import { decodeVq, gridOf } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";

export type Spec = { readonly dtype: "float32" | "int32"; readonly shape: readonly (number | string)[] };
export type Specs = Record<string, Spec | readonly Spec[]>;

/** A function to export: its inputs, its weights and its code, which runs eagerly and under tracing alike. */
export interface ExportedFunction {
  readonly file: string;
  readonly inputs: Specs;
  readonly weights: Record<string, tf.Tensor>;
  run(inputs: Record<string, tf.Tensor | tf.Tensor[]>): Record<string, tf.Tensor | tf.Tensor[]>;
}

const tensorsOf = (params: Record<string, TensorData>): Record<string, tf.Tensor> =>
  Object.fromEntries(
    Object.entries(params).map(([name, { data, shape }]) => [
      name,
      tf.tensor(data as Float32Array, [...shape], "float32"),
    ]),
  );

/** One decoder step: the previous tensor and the KV cache in, k rows of logits and the new cache rows out. Any batch size. */
export function decoderStep(folder: ModelFolder): ExportedFunction {
  const model = modelOf(folder);
  const weights = tensorsOf(folder.tensors);
  const { layers, heads, headDim } = model.backbone.cache;
  const perLayer = (spec: Spec): Spec[] => Array.from({ length: layers }, () => spec);
  return {
    file: "decoder.onnx",
    weights,
    inputs: {
      condition: { dtype: "int32", shape: ["batch"] },
      window: { dtype: "int32", shape: ["batch", model.windowSize] },
      position: { dtype: "int32", shape: [1] },
      mask: { dtype: "float32", shape: ["batch", "slots"] },
      keys: perLayer({ dtype: "float32", shape: ["batch", heads, headDim, "slots"] }),
      values: perLayer({ dtype: "float32", shape: ["batch", heads, "slots", headDim] }),
    },
    run: (inputs) => model.decode(weights, inputs as unknown as Parameters<typeof model.decode>[1]),
  };
}

/** Codes to images in [-1, 1], NHWC. Any batch size. */
export function imageDecoder({ config, imageSize, tensors }: TokenizerFolder): ExportedFunction {
  const weights = tensorsOf(tensors);
  const grid = gridOf(config, imageSize);
  return {
    file: "image-decoder.onnx",
    weights,
    inputs: { codes: { dtype: "int32", shape: ["batch", grid[0] * grid[1]] } },
    run: ({ codes }) => ({ images: decodeVq(weights, config, codes as tf.Tensor2D, grid) }),
  };
}
