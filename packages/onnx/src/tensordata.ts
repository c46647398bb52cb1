import { TensorARError } from "@tensorar/core";
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

/** A tensor on a backend, as far as it is used here: any tensor of TensorFlow.js is one. */
export interface BackendTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  data(): Promise<TypedArray>;
}

/** What an input may be given as. A tensor on a backend is borrowed, not disposed. */
export type Feed = TensorData | BackendTensor;

export const isFeed = (value: unknown): value is Feed =>
  typeof value === "object" &&
  value !== null &&
  "dtype" in value &&
  "shape" in value &&
  "data" in value &&
  (ArrayBuffer.isView(value.data) || typeof value.data === "function");

/** Told by its method and not by its class, so that this needs no TensorFlow.js, and takes tensors of any copy of it. */
export const isBackendTensor = (feed: Feed): feed is BackendTensor => typeof feed.data === "function";

export const hostTensor = async (tensor: BackendTensor): Promise<TensorData> => ({
  dtype: tensor.dtype as DType,
  shape: tensor.shape,
  data: await tensor.data(),
});

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
