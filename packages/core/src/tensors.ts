/** The array that holds elements of each type. float16 and bfloat16 are held as their bits, bool as 0 and 1. */
export interface Arrays {
  readonly float64: Float64Array;
  readonly float32: Float32Array;
  readonly float16: Uint16Array;
  readonly bfloat16: Uint16Array;
  readonly int64: BigInt64Array;
  readonly int32: Int32Array;
  readonly int16: Int16Array;
  readonly int8: Int8Array;
  readonly uint8: Uint8Array;
  readonly bool: Uint8Array;
}

/** Element types, by their usual names. */
export type DType = keyof Arrays;

/** The constructors of these arrays. */
export const ARRAYS = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Readonly<Record<DType, unknown>>;

/** The arrays that hold elements. */
export type TypedArray = Arrays[DType];

/** A tensor on the host: `data` holds `shape`'s elements in row-major order, in the array of their type. */
export interface TensorData<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: Arrays[D];
}

/**
 * Type and shape of a tensor that a function takes. A string names a symbolic dimension, whose size is given at every call, or is
 * a multiple of one that another input has: `"batch"`, `"2*batch"`.
 */
export interface TensorSpec {
  readonly dtype: "float32" | "int32" | "bool";
  readonly shape: readonly (number | string)[];
}
