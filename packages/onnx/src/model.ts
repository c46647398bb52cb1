import { formatDim } from "./dims";
import type { ElementType, Graph, Value } from "./graph";
import type { WrittenGraph } from "./serialize";

/** A named input or output; a string in the shape is a symbolic dimension or an expression of some, such as `4*batch`. */
export interface Port {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly (number | string)[];
}

/** A traced function. Write it with `saveModel` or `serializeModel`. */
export interface OnnxModel {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly graph: Graph;
}

/** Several graphs that were put together, by `loop` or `cond`. Write it as a traced one. */
export interface ComposedModel {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** The key of what a composed model is written from, which is nobody's business outside of this package. */
const WRITTEN = Symbol("written");

export const composedModel = (model: ComposedModel, written: WrittenGraph): ComposedModel =>
  Object.assign(model, { [WRITTEN]: written });

/** What a composed model is written from; undefined for what is none. */
export const writtenOf = (model: unknown): WrittenGraph | undefined =>
  (Object(model) as { readonly [WRITTEN]?: WrittenGraph })[WRITTEN];

/** How the names of a model map to the key paths of a function's inputs and outputs. */
export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Key path of each output. */
  readonly paths: readonly string[];
}

/** What is put behind the top-level key of outputs whose key is also an input's: ONNX names are unique in a graph. */
const NEXT = ".next";

/** The names that outputs with these key paths get in the file. */
export function outputNames(inputs: readonly string[], outputs: readonly string[]): string[] {
  const taken = new Set(inputs.map((name) => name.split("/")[0]));
  return outputs.map((path) => {
    const [key, ...rest] = path.split("/") as [string, ...string[]];
    return taken.has(key) ? [`${key}${NEXT}`, ...rest].join("/") : path;
  });
}

/** The key paths of outputs with these names: the inverse of `outputNames`. */
export function outputPaths(inputs: readonly string[], names: readonly string[]): string[] {
  const taken = new Set(inputs.map((name) => name.split("/")[0]));
  return names.map((name) => {
    const [key, ...rest] = name.split("/") as [string, ...string[]];
    const original = key.endsWith(NEXT) ? key.slice(0, -NEXT.length) : key;
    return taken.has(original) ? [original, ...rest].join("/") : name;
  });
}

export function makeModel(graph: Graph, name: string): OnnxModel {
  const dimensions = graph.dimensions.map((dimension) => dimension.name);
  const port = (portName: string, { dtype, shape }: Value): Port => ({
    name: portName,
    dtype,
    shape: shape.map((dim) => (typeof dim === "number" ? dim : formatDim(dim, dimensions))),
  });
  const inputs = graph.inputs.map((value) => port(value.source.kind === "input" ? value.source.name : "", value));
  const names = outputNames(
    inputs.map((input) => input.name),
    graph.outputs.map((output) => output.name),
  );
  const outputs = graph.outputs.map(({ value }, i) => port(names[i]!, value));
  return { name, inputs, outputs, graph };
}
