import { flatten, type Nested, TensorARError, type TensorSpec } from "@tensorar/core";
import type { Spec, TensorFunction } from "@tensorar/program";
import type * as tf from "@tensorflow/tfjs-core";
import { ByData, type Weights } from "./backend";
import { type Samples, sampleSizes } from "./dims";
import { unifiedError } from "./failure";
import type { Graph } from "./graph";
import { makeModel, type OnnxModel } from "./model";
import { optimize } from "./passes";
import { dropUnusedInputs } from "./passes/dead";
import type { FusionTarget } from "./passes/fuse";
import { type Quantization, quantizeWeights } from "./passes/quantize";
import { record } from "./record";
import { flattenSpecs, isTensor, multipleOf } from "./specs";
import { unify } from "./unify";

/** How a function becomes a graph. */
export interface TraceOptions {
  /** Names, by key path, for tensors that the function captures; others become `captured/0`, `captured/1`, …. */
  readonly weights?: Nested<tf.Tensor> | undefined;
  /** Name of the graph. Default: `graph`. */
  readonly name?: string | undefined;
  /**
   * Writes norms, rotary embeddings and activations as ONNX Runtime's own operators, those that this execution provider runs
   * fast; such a graph runs on ONNX Runtime only. Default: standard operators alone.
   */
  readonly fuse?: FusionTarget | undefined;
  /** Stores weights of matrix products in fewer bits; such a graph runs on ONNX Runtime only. */
  readonly quantize?: Quantization | undefined;
}

/**
 * Records `fn`, gradients included, as an ONNX model. The function runs on symbolic tensors: once, or with n symbolic
 * dimensions 2ⁿ + 1 times at different sizes, and must do the same every time. Tensors it captures become initializers; inputs
 * that nothing depends on are left out of the model.
 *
 * The current tfjs backend, its tensors and `tf.memory()` are as before afterwards.
 *
 * @throws TensorARError when the function reads values, draws random numbers, uses a kernel without an ONNX form, or
 *   depends on a symbolic dimension in a way that is no polynomial of the sizes.
 */
export function trace<const S extends Nested<Spec>, O extends object>(
  fn: TensorFunction<S, O>,
  inputs: S,
  options: TraceOptions = {},
): OnnxModel {
  return traceModel(fn, inputs, options);
}

/** As {@link trace}, with all inputs there are: what feeds a function by its specs gives them all. */
export const traceKeepingInputs: typeof trace = (fn, inputs, options = {}) =>
  traceModel(fn, inputs, options, (graph) => graph);

/** As {@link trace}, of a function whose types are not known, such as a program's. */
export function traceModel(
  fn: (inputs: never) => unknown,
  inputs: Nested<Spec>,
  { fuse, quantize, name = "graph", ...options }: TraceOptions = {},
  finish: (graph: Graph) => Graph = dropUnusedInputs,
): OnnxModel {
  const graph = optimize(traceGraph(fn, inputs, options), fuse);
  return makeModel(finish(quantize ? quantizeWeights(graph, quantize) : graph), name);
}

/** The graph as recorded, before any optimization. */
export function traceGraph(fn: (inputs: never) => unknown, inputs: Nested<Spec>, options: TraceOptions): Graph {
  const entries = flattenSpecs(inputs);
  const dimensions = findDimensions(entries);
  const weights: Weights = { names: new ByData(), data: new ByData() };
  for (const [name, { dataId, dtype, shape }] of flatten(options.weights ?? {}, isTensor, "weight"))
    weights.names.set(dataId, dtype, { name, shape });
  const samples = chooseSamples(entries, dimensions.length);
  const attempts = Array.from({ length: dimensions.length === 0 ? 1 : 2 ** dimensions.length + 1 }, (_, index) => {
    const sizes = sampleSizes(samples, index);
    const sizeOf = new Map(dimensions.map(({ name }, i) => [name, sizes[i]!]));
    try {
      return { graph: record(fn, inputs, entries, sizeOf, weights) };
    } catch (error) {
      return { error };
    }
  });
  const recordings = attempts.flatMap(({ graph }) => graph ?? []);
  if (recordings.length < attempts.length) {
    const names = dimensions.map(({ name }) => name);
    throw unifiedError(attempts, names, samples);
  }
  return recordings.length === 1 ? recordings[0]! : unify(recordings, dimensions, samples);
}

const MOST_DIMENSIONS = 5;

function findDimensions(entries: readonly (readonly [string, TensorSpec])[]): Graph["dimensions"] {
  const found = new Map<string, { name: string; input: string; axis: number }>();
  const multiples: string[] = [];
  for (const [input, { shape }] of entries) {
    for (const [axis, dim] of shape.entries()) {
      if (typeof dim !== "string") continue;
      const { factor, name } = multipleOf(dim);
      if (factor > 1) multiples.push(dim);
      else if (!found.has(name)) found.set(name, { name, input, axis });
    }
  }
  const lone = multiples.find((dim) => !found.has(multipleOf(dim).name));
  if (lone !== undefined) {
    throw new TensorARError(`no input has "${multipleOf(lone).name}" for a size, which "${lone}" is a multiple of`);
  }
  if (found.size > MOST_DIMENSIONS) {
    throw new TensorARError(
      `${found.size} symbolic dimensions (${[...found.keys()].join(", ")}) are too many; use at most ${MOST_DIMENSIONS}`,
    );
  }
  return [...found.values()];
}

/** Primes that no fixed size of an input equals, so that a symbolic size is never mistaken for a fixed one. */
function chooseSamples(entries: readonly (readonly [string, TensorSpec])[], count: number): Samples {
  const taken = new Set(entries.flatMap(([, { shape }]) => shape));
  const primes: number[] = [];
  for (let candidate = 7; primes.length < 3 * count; candidate += 2) {
    const prime = [3, 5, 7, 11, 13].every((divisor) => candidate === divisor || candidate % divisor !== 0);
    if (prime && !taken.has(candidate)) primes.push(candidate);
  }
  const pick = (offset: number): number[] => Array.from({ length: count }, (_, i) => primes[3 * i + offset]!);
  return { low: pick(0), high: pick(1), check: pick(2) };
}
