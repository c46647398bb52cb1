import { basename } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { DECODER, type ExportManifest, IMAGE_DECODER, NEXT_FACTOR, RESIDENT } from "@tensorar/manifest";
import { type Condition, packRows, type TensorARModel, toParams } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import {
  type ComposedModel,
  composeChoice,
  type OnnxModel,
  type TensorSpec,
  type Tensors,
  type TraceOptions,
  trace,
} from "@tensorar/onnx";
import { updateCache } from "@tensorar/sampler/graph";
import { createTokenizer, type TokenizerKind } from "@tensorar/tokenizer";
import type { TokenizerFolder } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";

/** Inputs or outputs by name: one tensor, one for each layer, or several by name. */
export type Named<T> = Readonly<Record<string, T | readonly T[] | Readonly<Record<string, T>>>>;

/** A function to export: its inputs, its weights, its code, and its graph. */
export interface ExportedFunction<Inputs extends Named<TensorSpec> = Named<TensorSpec>> {
  readonly inputs: Inputs;
  readonly weights: Record<string, tf.Tensor>;
  /** Runs eagerly. */
  run(inputs: Tensors<Inputs>): Named<tf.Tensor>;
  graph(form: Pick<TraceOptions, "fuse" | "quantize">): OnnxModel | ComposedModel;
}

type StepSizes = Pick<ExportManifest, "windowSize" | "cache" | "condition">;

const float = (...shape: (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
const int = (...shape: (number | string)[]): TensorSpec => ({ dtype: "int32", shape });

/** Conditions of any number of rows. */
export function conditionInputs({
  condition,
}: Pick<ExportManifest, "condition">): TensorSpec | Record<string, TensorSpec> {
  const batched = ({ dtype, shape }: ExportManifest["condition"][string]): TensorSpec => ({
    dtype,
    shape: ["batch", ...shape],
  });
  return mapParts(condition[ONLY] ?? condition, batched);
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
    keys: perLayer(float("batch", heads, "slots", headDim)),
    values: perLayer(float("batch", heads, "slots", headDim)),
  };
}

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
  const model = modelOf(folder) as unknown as TensorARModel<Condition>;
  const { conditionSlots, factors } = model.backbone;
  const weights = toParams(folder.tensors);
  const step = (file: string, finish: Finish) =>
    conditionSlots === 1
      ? traced(file, stepInputs(sizes), weights, (inputs) =>
          finish(model.decode(weights, inputs as never), inputs as never, inputs.position),
        )
      : beginningStep(file, finish, model, sizes, weights);
  const functions: Record<string, ExportedFunction> = {
    [DECODER]: step(DECODER, (outputs) => ({ ...packRows(outputs) })) as never,
    [RESIDENT]: step(RESIDENT, (outputs, cache, positions) => ({
      ...outputs,
      ...updateCache(cache, outputs, positions),
    })) as never,
  };
  if (factors !== undefined) {
    const next = traced(NEXT_FACTOR, factorInputs(sizes), weights, (inputs) => ({
      logits: model.nextFactor(weights, inputs as never),
    }));
    functions[NEXT_FACTOR] = next as never;
  }
  return { functions, weights };
}

/** What a step returns of what the model does. @param positions int32 [L]: slots of this step */
type Finish = (
  outputs: ReturnType<TensorARModel["advance"]> & { readonly mask?: tf.Tensor },
  cache: Parameters<typeof updateCache>[0],
  positions: tf.Tensor,
) => Named<tf.Tensor>;

/** A function whose code is its graph. */
function traced<Inputs extends Named<TensorSpec>>(
  file: string,
  inputs: Inputs,
  weights: Record<string, tf.Tensor>,
  run: ExportedFunction<Inputs>["run"],
): ExportedFunction<Inputs> {
  const graph: ExportedFunction["graph"] = (options) =>
    withoutUnusedInputs(trace(run as never, inputs as never, { ...options, weights, name: basename(file, ".onnx") }));
  return { inputs, weights, run, graph };
}

/**
 * The step of a model with several condition slots: all of them at position 0, one slot elsewhere. What follows the embedding
 * is the same, nodes and weights.
 */
function beginningStep(
  file: string,
  finish: Finish,
  model: TensorARModel<Condition>,
  sizes: StepSizes,
  weights: Record<string, tf.Tensor>,
): ExportedFunction<ReturnType<typeof stepInputs>> {
  type Inputs = Parameters<typeof model.decode>[1];
  const inputs = stepInputs(sizes);
  const { window, position, condition, ...cache } = inputs;
  const noPadding = (window: tf.Tensor) => tf.zerosLike(tf.cast(tf.slice(window, [0, 0], [-1, 1]), "float32")); // [R, 1]
  const run = (given: Inputs) =>
    given.position.dataSync()[0] === 0
      ? finish(model.prefill(weights, given), given as never, model.embedPrefix(weights, given.condition).positions)
      : finish({ ...model.decode(weights, given), mask: noPadding(given.window) }, given as never, given.position);

  const zero = ({ condition }: Pick<Inputs, "condition">) => ({ chosen: { ...model.embedPrefix(weights, condition) } });
  const other = ({ window, position }: Pick<Inputs, "window" | "position">) => ({
    chosen: { x: model.embedWindows(weights, tf.expandDims(window, 1)), positions: position, mask: noPadding(window) },
  });
  const after = ({ chosen, condition, ...cache }: { chosen: ReturnType<typeof model.embedPrefix> } & Inputs) => {
    const own = model.backbone.conditionMask && chosen.mask;
    const outputs = model.advance(weights, { ...chosen, mask: own, condition, cache });
    return finish({ ...outputs, mask: chosen.mask }, cache as never, chosen.positions);
  };
  const chosen = { x: float("batch", "new", model.backbone.width), positions: int("new"), mask: float("batch", "new") };
  const graph: ExportedFunction["graph"] = (options) => {
    const part = (fn: unknown, specs: Named<TensorSpec>) => trace(fn as never, specs as never, { ...options, weights });
    return composeChoice(basename(file, ".onnx"), {
      ...{ when: "position", zero: part(zero, { condition }), other: part(other, { window, position }) },
      after: withoutUnusedInputs(part(after, { chosen, condition, ...cache })),
    });
  };
  return { inputs, weights, run: run as never, graph };
}

/** Models whose condition is read in the prefill alone do not ask for it at every step. @param prefix of inputs that may go */
export function withoutUnusedInputs(model: OnnxModel, prefix = ""): OnnxModel {
  const { graph } = model;
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ value }) => value)]);
  const keeps = graph.inputs.map((value, i) => used.has(value) || !model.inputs[i]!.name.startsWith(prefix));
  return {
    ...model,
    inputs: model.inputs.filter((_, i) => keeps[i]),
    graph: { ...graph, inputs: graph.inputs.filter((_, i) => keeps[i]) },
  };
}

/** What `change` makes of a condition: of its one tensor, or of each by name. */
export function mapParts<T extends { readonly dtype: string }, U>(
  parts: T | Readonly<Record<string, T>>,
  change: (part: T, name?: string) => U,
): U | Record<string, U> {
  if (isPart(parts)) return change(parts);
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, change(part, name)]));
}

const isPart = <T extends object>(parts: T | Readonly<Record<string, T>>): parts is T => "dtype" in parts;

/** Codes to images in [-1, 1], NHWC. Any batch size. */
export function imageDecoder(
  folder: TokenizerFolder<TokenizerKind>,
  grid: ExportManifest["grid"],
): ExportedFunction<ReturnType<typeof codeInputs>> {
  const weights = toParams(folder.tensors);
  const tokenizer = createTokenizer(folder);
  return traced(IMAGE_DECODER, codeInputs({ tokens: grid[0] * grid[1] }), weights, ({ codes }) => ({
    images: tokenizer.decode(weights, codes as tf.Tensor2D, grid),
  }));
}

/** A host tensor of float32 or int32 as a tfjs tensor; the caller owns it. */
export function toTensor({ data, shape, dtype }: TensorData): tf.Tensor {
  return tf.tensor(data as Float32Array | Int32Array, [...shape], dtype as "float32" | "int32");
}
