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

function initialTensor(shape: number[], seed: number, name: string, initial: Initial): tf.Tensor {
  if (initial === "ones") return tf.ones(shape);
  if (initial === "zeros") return tf.zeros(shape);
  const stream = createStream(seed, `init/${name}`);
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = initial.std * stream.normal();
  return tf.tensor(values, shape, "float32");
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
