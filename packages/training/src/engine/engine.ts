import type { Nested, TensorSpec } from "@tensorar/core";
import type { CallInputs, CallOutputs, RuntimeOptions, StateInputs, StateOutputs } from "@tensorar/onnx";
import type { TensorFunction } from "@tensorar/program";

/** Type and shape of every input, nested like the inputs; a string names a symbolic dimension (`"batch"`). */
export type InputSpecs = Readonly<Record<string, Nested<TensorSpec>>>;

/** A tensor function made ready to run on host tensors, nested like its inputs and outputs. */
export interface Runnable<S, O, K extends string = never> {
  (inputs: CallInputs<S, K>): Promise<CallOutputs<O, K>>;
  /** Sets the inputs named in `state`, which the engine then carries from each call's outputs to the next call. */
  setState(state: StateInputs<S, K>): Promise<void>;
  getState(): Promise<StateOutputs<O, K>>;
  dispose(): Promise<void>;
}

/** What an engine is to keep between calls. @typeParam K names of state */
export interface PrepareOptions<K extends string> {
  /** Top-level keys that are inputs and outputs both and stay inside the engine between calls. */
  readonly state?: readonly K[];
}

/** One way of running pure functions on tfjs tensors: what models, losses and training steps are written as. */
export interface Engine {
  /** What runs the work, for logs and reports: `ONNX Runtime 1.30.0 (cpu, 2 threads)`. */
  readonly description: string;
  /** Where it is ONNX Runtime, what opens files and programs there. */
  readonly onnx?: Pick<RuntimeOptions, "runtime" | "threads">;
  /** @param inputs what `fn` takes; it is typed by them */
  prepare<const S extends InputSpecs, O extends object, const K extends string = never>(
    fn: TensorFunction<S, O>,
    inputs: S,
    options?: PrepareOptions<K>,
  ): Promise<Runnable<S, O, K>>;
}
