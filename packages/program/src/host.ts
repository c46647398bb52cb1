import { ARRAYS, mapLeaves, type Nested, TensorARError, type TensorData } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { AnyProgram, HostTensors, Program } from "./program";

const isTensor = (value: unknown): value is tf.Tensor => value instanceof tf.Tensor;
const isData = (value: unknown): value is TensorData => ArrayBuffer.isView(Object(value).data);

/**
 * Host tensors as tensors of the current tfjs backend, nested alike. The caller owns them.
 * @throws TensorARError for a type that tfjs does not have
 */
export function toTensors(data: Nested<TensorData>): Nested<tf.Tensor> {
  return mapLeaves<TensorData, tf.Tensor>(data, isData, (each) => {
    const { dtype, shape } = each;
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool")
      throw new TensorARError(`tfjs holds float32, int32 and bool tensors, got ${dtype}; convert it first`);
    return tf.tensor(each.data as Float32Array | Int32Array | Uint8Array, [...shape], dtype);
  });
}

/** Tensors as host tensors, each in the array of its type (tfjs casts whole numbers to float32 without touching them). */
export function toHost(tensors: Nested<tf.Tensor>): Nested<TensorData> {
  return mapLeaves<tf.Tensor, TensorData>(tensors, isTensor, (tensor) => {
    const dtype = tensor.dtype as "float32" | "int32" | "bool";
    return { dtype, shape: tensor.shape, data: ARRAYS[dtype].from(tensor.dataSync()) };
  });
}

/** Runs a program op by op on the current tfjs backend. @throws whatever its function throws */
export function runProgram<S, O extends object>(program: Program<S, O>, inputs: HostTensors<S>): HostTensors<O> {
  return runAnyProgram(program, inputs as Nested<TensorData>) as HostTensors<O>;
}

/** As {@link runProgram}, of a program whose inputs and outputs are known when it runs. */
export function runAnyProgram(program: AnyProgram, inputs: Nested<TensorData>): Nested<TensorData> {
  const given = toTensors(inputs);
  try {
    const outputs = tf.tidy(() => program.run(given as never) as tf.TensorContainer) as Nested<tf.Tensor>;
    const data = toHost(outputs);
    tf.dispose(outputs as tf.TensorContainer);
    return data;
  } finally {
    tf.dispose(given as tf.TensorContainer);
  }
}
