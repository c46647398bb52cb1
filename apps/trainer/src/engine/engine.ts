import type { TensorData } from "@tensorar/checkpoint";
import type * as tf from "@tensorflow/tfjs-core";

/** Records and arrays of `T`, any depth; the calling convention of everything an engine runs. */
export type Nested<T> = T | { readonly [key: string]: Nested<T> } | readonly Nested<T>[];

/** Type and shape of an input; a string names a symbolic dimension (`"batch"`). */
export interface InputSpec {
  readonly dtype: "float32" | "int32" | "bool";
  readonly shape: readonly (number | string)[];
}

/** A pure function on tfjs tensors: what models, losses and training steps are written as. */
export type TensorFunction = (inputs: never) => Nested<tf.Tensor>;

/** A tensor function made ready to run. Inputs and outputs are nested records of host tensors. */
export interface Runnable {
  (inputs: Record<string, Nested<TensorData>>): Promise<Record<string, Nested<TensorData>>>;
  /** Sets the inputs named in `state`, which the engine then carries from each call's outputs to the next call. */
  setState(state: Record<string, Nested<TensorData>>): Promise<void>;
  getState(): Promise<Record<string, Nested<TensorData>>>;
  dispose(): Promise<void>;
}

export interface PrepareOptions {
  /** Top-level keys that are inputs and outputs both and stay inside the engine between calls. */
  readonly state?: readonly string[];
}

/** One way of running tensor functions. */
export interface Engine {
  /** What runs the work, for logs and reports: `ONNX Runtime 1.30.0 (cpu, 2 threads)`. */
  readonly description: string;
  prepare(fn: TensorFunction, inputs: Record<string, Nested<InputSpec>>, options?: PrepareOptions): Promise<Runnable>;
}

export const ENGINE_NAMES = ["auto", "onnx", "tensorflow", "wasm", "cpu"] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Packages with the backend of `tensorflow`, in the order in which they are tried. */
export const TENSORFLOW_PACKAGES = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;
