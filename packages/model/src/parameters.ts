import { castTensor, type TensorData } from "@tensorar/checkpoint";
import { ShapeError, TensorARError } from "@tensorar/core";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";

/** Parameters by the names of the original checkpoint, in PyTorch's layouts (linear weights are `[out, in]`). */
export type Params = Record<string, tf.Tensor>;

/** Shape of every parameter by its name. */
export type ParameterShapes = Readonly<Record<string, readonly number[]>>;

/** How a parameter starts: all ones, all zeros, or normal with a standard deviation. */
export type Initial = "ones" | "zeros" | { readonly std: number };

/** The parameter `name`. @throws TensorARError when it is missing, ShapeError when its shape is another */
export function parameter<T extends tf.Tensor>(params: Params, name: string, shape: readonly number[]): T {
  const tensor = params[name];
  if (tensor === undefined) {
    throw new TensorARError(`parameter "${name}" [${shape}] is missing; load it, or make it with the init function`);
  }
  if (tensor.shape.length !== shape.length || shape.some((size, axis) => size !== tensor.shape[axis])) {
    throw new ShapeError(
      `parameter "${name}" has shape [${tensor.shape}], the config asks for [${shape}]; use the config it was trained with`,
    );
  }
  return tensor as T;
}

/** Number of parameters, from their shapes alone. */
export function countParameters(shapes: ParameterShapes): number {
  return Object.values(shapes).reduce((sum, shape) => sum + sizeOf(shape), 0);
}

/**
 * Makes parameters of these shapes. Normal draws come from the stream addressed by seed and name, so a parameter is
 * the same whatever else is made. The caller owns the tensors.
 */
export function initialise(shapes: ParameterShapes, seed: number, initialOf: (name: string) => Initial): Params {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, initialTensor([...shape], seed, name, initialOf(name))]),
  );
}

/** How fresh parameters are drawn. */
export interface InitOptions {
  /** Standard deviation of everything that is neither a norm nor a bias; default 0.02. */
  readonly std?: number | undefined;
  /** Parameters that begin at 0, such as those of the head, as LlamaGen's does. Default: none but biases. */
  readonly zeros?: ((name: string) => boolean) | undefined;
}

/**
 * Fresh parameters for the shapes of any backbone, by LlamaGen's scheme: biases (names that end in `bias`) at 0, what else has
 * one axis (weights of norms) at 1, everything else normal. A parameter depends on the seed and its name alone.
 * Source: LlamaGen `initialize_weights`. The caller owns the tensors.
 *
 * @param seed integer in [0, 2^53)
 * @throws TensorARError when `std` is not positive
 */
export function initParameters(
  shapes: ParameterShapes,
  seed: number,
  { std = 0.02, zeros = () => false }: InitOptions = {},
): Params {
  if (!(std > 0 && Number.isFinite(std)))
    throw new TensorARError(`initParameters: std ${std} is out of range; use a positive number`);
  return initialise(shapes, seed, (name) => {
    if (zeros(name) || /(^|[._])bias$/.test(name)) return "zeros";
    return shapes[name]!.length === 1 ? "ones" : { std };
  });
}

/**
 * The tensors of a folder or a checkpoint as parameters: int32 as it is, numbers of any other type as float32. The caller
 * owns the tensors.
 */
export function toParams(tensors: Readonly<Record<string, TensorData>>): Params {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const { dtype, shape, data } = tensor.dtype === "int32" ? tensor : castTensor(tensor, "float32");
      return [name, tf.tensor(data as Float32Array | Int32Array, [...shape], dtype as "float32" | "int32")];
    }),
  );
}

function initialTensor(shape: number[], seed: number, name: string, initial: Initial): tf.Tensor {
  if (initial === "ones") return tf.ones(shape);
  if (initial === "zeros") return tf.zeros(shape);
  const stream = createStream(seed, `init/${name}`);
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = initial.std * stream.normal();
  return tf.tensor(values, shape, "float32");
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
