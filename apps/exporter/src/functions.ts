import type { TensorData } from "@tensorar/checkpoint";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import type { TensorSpec, Tensors } from "@tensorar/onnx";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { ExportManifest } from "./manifest";

/** Inputs or outputs by name: one tensor, one for each layer, or several by name. */
export type Named<T> = Readonly<Record<string, T | readonly T[] | Readonly<Record<string, T>>>>;

/** A function to export: its inputs, its weights and its code, which runs eagerly and under tracing alike. */
export interface ExportedFunction<Inputs extends Named<TensorSpec> = Named<TensorSpec>> {
  readonly inputs: Inputs;
  readonly weights: Record<string, tf.Tensor>;
  run(inputs: Tensors<Inputs>): Named<tf.Tensor>;
}

/** The files of an export. */
export const DECODER = "decoder.onnx";
export const IMAGE_DECODER = "image-decoder.onnx";
/** All of generation, where it was asked for. */
export const GENERATION = "generation.onnx";
/** All slots of a condition at once; only for models with several. */
export const PREFILL = "prefill.onnx";
/** The second sub-tokens of tokens given the first; only for models whose tokens consist of two. */
export const NEXT_FACTOR = "next-factor.onnx";

type StepSizes = Pick<ExportManifest, "windowSize" | "cache" | "condition">;

const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });

/** Conditions of any number of rows. */
function conditionInputs({ condition }: Pick<ExportManifest, "condition">): Named<TensorSpec>["condition"] {
  const batched = ({ dtype, shape }: ExportManifest["condition"][string]): TensorSpec => ({
    dtype,
    shape: ["batch", ...shape],
  });
  const single = condition[ONLY];
  if (single) return batched(single);
  return Object.fromEntries(Object.entries(condition).map(([name, part]) => [name, batched(part)]));
}

/** Name in the manifest of a condition that is one tensor. */
export const ONLY = "condition";

/** Inputs of one decoder step. */
export function stepInputs(sizes: StepSizes) {
  const { windowSize, cache } = sizes;
  const { layers, heads, headDim } = cache;
  const perLayer = (spec: TensorSpec): TensorSpec[] => Array.from({ length: layers }, () => spec);
  return {
    // First, since graphs read the size of the batch from the first input that has it.
    window: int("batch", windowSize),
    condition: conditionInputs(sizes),
    position: int(1),
    mask: float("batch", "slots"),
    keys: perLayer(float("batch", heads, headDim, "slots")),
    values: perLayer(float("batch", heads, "slots", headDim)),
  };
}

export const prefillInputs = (sizes: StepSizes) => ({ condition: conditionInputs(sizes) });

export function factorInputs({ windowSize, stateWidth }: Pick<ExportManifest, "windowSize" | "stateWidth">) {
  return { states: float("batch", windowSize, stateWidth), known: [int("batch", windowSize)] };
}

/** Inputs of the image decoder. */
export function codeInputs({ tokens }: Pick<ExportManifest, "tokens">) {
  const codes: TensorSpec = { dtype: "int32", shape: ["batch", tokens] };
  return { codes };
}

/**
 * The graphs of a model: one decoder step (the previous tensor and the KV cache in, k rows of logits and the new cache rows
 * out), and what else generation with it needs. Any batch size. They share their weights, which the caller disposes of.
 */
export function modelFunctions(folder: ModelFolder, sizes: StepSizes & Pick<ExportManifest, "stateWidth">) {
  const model = modelOf(folder);
  const { conditionSlots, factors } = model.backbone;
  const weights = tensorsOf(folder.tensors);
  const functions: Record<string, ExportedFunction<never>> = {};
  const add = <Inputs extends Named<TensorSpec>>(
    name: string,
    inputs: Inputs,
    run: ExportedFunction<Inputs>["run"],
  ) => {
    functions[name] = { inputs, weights, run } as unknown as ExportedFunction<never>;
  };
  add(DECODER, stepInputs(sizes), (inputs) => ({ ...model.decode(weights, inputs as never) }));
  if (conditionSlots !== 1)
    add(PREFILL, prefillInputs(sizes), (inputs) => ({ ...model.prefill(weights, inputs as never) }));
  if (factors !== undefined)
    add(NEXT_FACTOR, factorInputs(sizes), (inputs) => ({ logits: model.nextFactor(weights, inputs as never) }));
  return { functions: functions as Readonly<Record<string, ExportedFunction>>, weights };
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

export const tensorsOf = (params: Readonly<Record<string, TensorData>>): Record<string, tf.Tensor> =>
  Object.fromEntries(Object.entries(params).map(([name, data]) => [name, toTensor(data)]));

/** A host tensor of float32 or int32 as a tfjs tensor; the caller owns it. */
export function toTensor({ data, shape, dtype }: TensorData): tf.Tensor {
  return tf.tensor(data as Float32Array | Int32Array, [...shape], dtype as "float32" | "int32");
}
