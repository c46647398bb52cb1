import { ARRAYS, type DType, TensorARError, type TensorData, type TypedArray } from "@tensorar/core";
import type { Tensor } from "onnxruntime-common";
import type { Port } from "./model";

/** A tensor on a backend, as far as it is used here: any tensor of TensorFlow.js is one. */
export interface BackendTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  data(): Promise<TypedArray>;
}

/** What an input may be given as. A tensor on a backend is borrowed, not disposed. */
export type Feed = TensorData | BackendTensor;

/** Whether a value is a tensor on the host, or on a backend. */
export const isFeed = (value: unknown): value is Feed =>
  typeof value === "object" &&
  value !== null &&
  "dtype" in value &&
  "shape" in value &&
  "data" in value &&
  (ArrayBuffer.isView(value.data) || typeof value.data === "function");

/** Told by its method and not by its class, so that this needs no TensorFlow.js, and takes tensors of any copy of it. */
export const isBackendTensor = (feed: Feed): feed is BackendTensor => typeof feed.data === "function";

/** A copy, on the host, of a tensor on a backend. */
export const hostTensor = async (tensor: BackendTensor): Promise<TensorData> => ({
  dtype: tensor.dtype as DType,
  shape: tensor.shape,
  data: await tensor.data(),
});

const INTEGERS = [Int32Array, Int16Array, Int8Array, Uint16Array, Uint8Array, Uint8ClampedArray];

/**
 * The same numbers in the array that holds `dtype`. TensorFlow.js casts whole numbers to float32 without touching them, so
 * that a float32 tensor may hold an Int32Array or a Uint8Array.
 * @returns undefined where that is no widening of whole numbers
 */
export function arrayOf(dtype: DType, data: ArrayBufferView): TypedArray | undefined {
  const Wanted = ARRAYS[dtype];
  if (data instanceof Wanted) return data;
  if (dtype === "float16") return float16Bits(data);
  const isWider = Wanted === Float32Array || Wanted === Float64Array || Wanted === Int32Array;
  return isWider && INTEGERS.some((Whole) => data instanceof Whole) ? Wanted.from(data as Int32Array) : undefined;
}

/** The bits of a Float16Array, which newer engines have and give for halves. */
function float16Bits(data: ArrayBufferView): Uint16Array | undefined {
  if (Object.prototype.toString.call(data) !== "[object Float16Array]") return undefined;
  return new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
}

/** The tensor in the array of its type. @throws TensorARError unless it has the type and shape that the port asks for */
export function checkedFeed({ name, dtype, shape }: Port, feed: TensorData): TensorData {
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
  if (!(feed.dtype in ARRAYS)) return feed; // of a file: a type that the runtime alone knows
  const data = arrayOf(feed.dtype, feed.data);
  if (data) return { dtype: feed.dtype, shape: feed.shape, data };
  const given = feed.data.constructor.name;
  throw new TensorARError(
    `input "${name}" is ${feed.dtype} in an array of type ${given}; give ${ARRAYS[feed.dtype].name}`,
  );
}

/** A view of a runtime's tensor whose data is on the host. */
export function fromRuntime(tensor: Tensor): TensorData {
  const dtype = tensor.type as DType;
  const data = tensor.data as TypedArray;
  return { dtype, shape: tensor.dims, data: dtype === "float16" ? (arrayOf(dtype, data) ?? data) : data };
}
