import type { Nested, TensorData, TensorSpec } from "@tensorar/core";
import type * as tf from "@tensorflow/tfjs-core";

/** A type and shape, or a concrete example that has them. */
export type Spec = TensorSpec | tf.Tensor;

/** Tensors nested like the specs `S`: what a function of them takes. */
export type Tensors<S> = S extends Spec ? tf.Tensor : { [K in keyof S]: Tensors<S[K]> };

/** Host tensors nested like `T`, which are specs or tensors: what crosses the border to whatever runs a program. */
export type HostTensors<T> = T extends Spec ? TensorData : { readonly [K in keyof T]: HostTensors<T[K]> };

/** A pure function of named tensors. (Declared as a method so that parameters may be annotated with `Tensor2D` and the like.) */
export type TensorFunction<S, O> = { method(inputs: Tensors<S>): O }["method"];

/** A function of some of a program's inputs, and of what goes before it in the program. */
export interface ProgramPart {
  readonly inputs: Readonly<Record<string, Nested<TensorSpec>>>;
  /** Returns records and arrays of tensors. */
  run(inputs: never): object;
}

/**
 * How a program goes one of two ways and then one: `whenZero` where the input `when` is 0, `otherwise` where it is not; `after` takes what
 * they return beside the program's own inputs. A graph holds each of the three once and runs only what is chosen.
 */
export interface Branches {
  /** Name of an input int32 [1]. */
  readonly when: string;
  readonly whenZero: ProgramPart;
  readonly otherwise: ProgramPart;
  readonly after: ProgramPart;
}

/** A program whose inputs and outputs are known when it runs. */
export interface AnyProgram extends ProgramPart {
  /** Of its graph: `decode` */
  readonly name: string;
  /** Captured by `run`, with the names that they get in a graph. Whoever made them disposes of them, when nothing runs any more. */
  readonly weights: Nested<tf.Tensor>;
  /** The same function in parts, for models that begin in another way than they go on. */
  readonly branches?: Branches;
}

/**
 * A named pure function with the specs of its inputs and the tensors that it captures: what is run, compiled, exported, verified
 * and timed, by code that knows nothing else of it. Its outputs have the types and shapes that running or tracing it shows.
 *
 * @typeParam S specs of the inputs by name, nested as the function takes them
 * @typeParam O the outputs by name: records and arrays of tensors
 */
export interface Program<S, O extends object> extends AnyProgram {
  readonly inputs: S & AnyProgram["inputs"];
  /** Borrows its inputs; the caller owns the outputs. */
  run(inputs: Tensors<S>): O;
}

/** The spec of a float32 tensor. */
export const float32 = (...shape: readonly (number | string)[]): TensorSpec => ({ dtype: "float32", shape });
/** The spec of an int32 tensor. */
export const int32 = (...shape: readonly (number | string)[]): TensorSpec => ({ dtype: "int32", shape });
