import type * as tf from "@tensorflow/tfjs-core";
import type { OnnxModel } from "./model";
import type { Nested } from "./nested";
import { serializeModel } from "./serialize";
import { type CompiledFunction, createSession, type RuntimeOptions } from "./session";
import type { Spec, TracedFunction } from "./specs";
import type { Feed, TensorData } from "./tensordata";
import { type TraceOptions, trace } from "./trace";

/** What a call takes for specs nested like `S`. */
export type Feeds<S> = S extends Spec ? Feed : { readonly [K in keyof S]: Feeds<S[K]> };
/** What a call returns for a function that returns `O`. */
export type Results<O> = O extends tf.Tensor ? TensorData : { [K in keyof O]: Results<O[K]> };

type Without<T, K> = [K] extends [never] ? T : Omit<T, K & keyof T>;
type Only<T, K> = { readonly [P in K & keyof T]: T[P] };

export interface CompileOptions<K extends string> extends RuntimeOptions<K>, TraceOptions {}

/** A compiled function and the model it runs. */
export type Compiled<S, O, K extends string> = CompiledFunction<
  Without<Feeds<S>, K>,
  Without<Results<O>, K>,
  Only<Feeds<S>, K>,
  Only<Results<O>, K>
> & {
  readonly model: OnnxModel;
};

/**
 * Traces `fn` (see `trace`) and opens it on ONNX Runtime: a function of the same nesting that takes and returns host tensors.
 *
 * With `state: ["params", …]` the outputs under those keys are the next call's inputs and stay in the runtime; give them
 * their first values with `setState`.
 */
export async function compile<const S extends Nested<Spec>, O extends object, const K extends string = never>(
  fn: TracedFunction<S, O>,
  inputs: S,
  options: CompileOptions<K>,
): Promise<Compiled<S, O, K>> {
  const { weights, name, fuse, quantize, ...runtime } = options ?? {};
  const model = trace(fn, inputs, {
    ...(weights && { weights }),
    ...(name !== undefined && { name }),
    ...(fuse && { fuse }),
    ...(quantize && { quantize }),
  });
  const signature = {
    inputs: model.inputs,
    outputs: model.outputs,
    paths: model.graph.outputs.map((output) => output.name),
  };
  const compiled = await createSession(serializeModel(model), signature, runtime);
  return Object.assign(compiled, { model }) as unknown as Compiled<S, O, K>;
}
