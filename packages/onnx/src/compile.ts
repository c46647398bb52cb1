import type { Nested } from "@tensorar/core";
import type { HostTensors, Spec, TensorFunction } from "@tensorar/program";
import { type ComposedModel, type OnnxModel, outputPaths } from "./model";
import { serializeModel } from "./serialize";
import { type CompiledFunction, createSession, type RuntimeOptions } from "./session";
import type { Feed } from "./tensordata";
import { type TraceOptions, traceKeepingInputs } from "./trace";

/** What a call takes for specs nested like `S`. */
export type Feeds<S> = S extends Spec ? Feed : { readonly [K in keyof S]: Feeds<S[K]> };
type Without<T, K> = [K] extends [never] ? T : Omit<T, K & keyof T>;
type Only<T, K> = { readonly [P in K & keyof T]: T[P] };

/** What a call takes for specs `S`, with state `K`. */
export type CallInputs<S, K> = Without<Feeds<S>, K>;
/** What a call of a function that returns `O` returns, with state `K`. */
export type CallOutputs<O, K> = Without<HostTensors<O>, K>;
/** What state `K` is set to. */
export type StateInputs<S, K> = Only<Feeds<S>, K>;
/** What state `K` is read as. */
export type StateOutputs<O, K> = Only<HostTensors<O>, K>;

/** How a function is traced, and what runs it. */
export interface CompileOptions<K extends string> extends RuntimeOptions<K>, TraceOptions {}

/** A compiled function and the model it runs. */
export type Compiled<S, O, K extends string> = CompiledFunction<
  CallInputs<S, K>,
  CallOutputs<O, K>,
  StateInputs<S, K>,
  StateOutputs<O, K>
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
  fn: TensorFunction<S, O>,
  inputs: S,
  options: CompileOptions<K>,
): Promise<Compiled<S, O, K>> {
  const { weights, name, fuse, quantize, ...runtime } = options ?? {};
  const model = traceKeepingInputs(fn, inputs, {
    ...(weights && { weights }),
    ...(name !== undefined && { name }),
    ...(fuse && { fuse }),
    ...(quantize && { quantize }),
  });
  return Object.assign(await openTraced(model, runtime), { model }) as unknown as Compiled<S, O, K>;
}

/** A graph that was traced or put together, on ONNX Runtime. */
export function openTraced(model: OnnxModel | ComposedModel, options: RuntimeOptions): Promise<CompiledFunction> {
  const { inputs, outputs } = model;
  const paths =
    "graph" in model
      ? model.graph.outputs.map(({ name }) => name)
      : outputPaths(
          inputs.map(({ name }) => name),
          outputs.map(({ name }) => name),
        );
  return createSession(serializeModel(model), { inputs, outputs, paths }, options);
}
