import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "onnxruntime-common";
import type { Port } from "./model";

export type DType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint16Array;

/** A tensor on the host. float16 and bfloat16 are held as their bits, bool as one byte (0 or 1) an element. */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** What an input may be given as. A tfjs tensor is borrowed, not disposed. */
export type Feed = TensorData | tf.Tensor;

export const isFeed = (value: unknown): value is Feed =>
  value instanceof tf.Tensor ||
  (typeof value === "object" &&
    value !== null &&
    "dtype" in value &&
    "shape" in value &&
    "data" in value &&
    ArrayBuffer.isView(value.data));

export async function hostTensor(feed: Feed): Promise<TensorData> {
  if (!(feed instanceof tf.Tensor)) return feed;
  return { dtype: feed.dtype as DType, shape: feed.shape, data: await feed.data() };
}

/** Throws unless the tensor has the type and shape that the port asks for. */
export function checkFeed({ name, dtype, shape }: Port, feed: TensorData): void {
  const fits =
    feed.shape.length === shape.length && shape.every((size, i) => typeof size === "string" || size === feed.shape[i]);
  if (feed.dtype !== dtype || !fits) {
    throw new TensorARError(
      `input "${name}" is ${feed.dtype} [${feed.shape.join(", ")}]; the function takes ${dtype} [${shape.join(", ")}]`,
    );
  }
  const size = feed.shape.reduce((a, b) => a * b, 1);
  if (feed.data.length !== size) {
    throw new TensorARError(
      `input "${name}" of shape [${feed.shape.join(", ")}] holds ${feed.data.length} elements; ${size} are needed`,
    );
  }
}

/** A view of a runtime's tensor whose data is on the host. */
export function fromRuntime(tensor: Tensor): TensorData {
  return { dtype: tensor.type as DType, shape: tensor.dims, data: tensor.data as TypedArray };
}
