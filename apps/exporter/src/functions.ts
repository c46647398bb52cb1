import type { TensorData } from "@tensorar/checkpoint";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import type { TensorSpec, Tensors } from "@tensorar/onnx";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { ExportManifest } from "./manifest";

/** Inputs or outputs by name: one tensor, or one for each layer. */
export type Named<T> = Readonly<Record<string, T | readonly T[]>>;

/** A function to export: its inputs, its weights and its code, which runs eagerly and under tracing alike. */
export interface ExportedFunction<Inputs extends Named<TensorSpec> = Named<TensorSpec>> {
  readonly inputs: Inputs;
  readonly weights: Record<string, tf.Tensor>;
  run(inputs: Tensors<Inputs>): Named<tf.Tensor>;
}

/** The files of an export. */
export const DECODER = "decoder.onnx";
export const IMAGE_DECODER = "image-decoder.onnx";

type StepSizes = Pick<ExportManifest, "windowSize" | "cache">;

/** Inputs of one decoder step. */
export function stepInputs({ windowSize, cache: { layers, heads, headDim } }: StepSizes) {
  const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
  const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });
  const perLayer = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  return {
    condition: int("batch"),
    window: int("batch", windowSize),
    position: int(1),
    mask: float("batch", "slots"),
    keys: perLayer(float("batch", heads, headDim, "slots")),
    values: perLayer(float("batch", heads, "slots", headDim)),
  };
}

/** Inputs of the image decoder. */
export function codeInputs({ tokens }: Pick<ExportManifest, "tokens">) {
  const codes: TensorSpec = { dtype: "int32", shape: ["batch", tokens] };
  return { codes };
}

/** One decoder step: the previous tensor and the KV cache in, k rows of logits and the new cache rows out. Any batch size. */
export function decoderStep(folder: ModelFolder): ExportedFunction<ReturnType<typeof stepInputs>> {
  const model = modelOf(folder);
  const weights = tensorsOf(folder.tensors);
  return {
    inputs: stepInputs({ windowSize: model.windowSize, cache: model.backbone.cache }),
    weights,
    run: (inputs) => ({ ...model.decode(weights, inputs) }),
  };
}

/** Codes to images in [-1, 1], NHWC. Any batch size. */
export function imageDecoder(
  folder: TokenizerFolder<TokenizerKind>,
  grid: ExportManifest["grid"],
): ExportedFunction<ReturnType<typeof codeInputs>> {
  const weights = tensorsOf(folder.tensors);
  const tokenizer = createTokenizer(folder);
  return {
    inputs: codeInputs({ tokens: grid[0] * grid[1] }),
    weights,
    run: ({ codes }) => ({ images: tokenizer.decode(weights, codes as tf.Tensor2D, grid) }),
  };
}

const tensorsOf = (params: Readonly<Record<string, TensorData>>): Record<string, tf.Tensor> =>
  Object.fromEntries(Object.entries(params).map(([name, data]) => [name, toTensor(data)]));

/** A host tensor of float32 or int32 as a tfjs tensor; the caller owns it. */
export function toTensor({ data, shape, dtype }: TensorData): tf.Tensor {
  return tf.tensor(data as Float32Array | Int32Array, [...shape], dtype as "float32" | "int32");
}
