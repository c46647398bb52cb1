import { ARRAYS, type DType, quote, TensorARError, type TensorData, type TypedArray } from "@tensorar/core";

/** Tensors by name. Records made by this package have no prototype, so no name can reach an inherited property. */
export type TensorRecord = Readonly<Record<string, TensorData>>;

interface ArrayKind {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
}

const KINDS: Readonly<Record<DType, ArrayKind>> = ARRAYS;

/** Bytes of one element. */
export const bytesPerElement = (dtype: DType): number => KINDS[dtype].BYTES_PER_ELEMENT;

/** As many as NumPy and PyTorch have. */
const MOST_DIMENSIONS = 64;

/** Number of elements of a shape, or undefined where it is no list of at most 64 non-negative integers or is beyond 2^53. */
export function elementCount(shape: unknown): number | undefined {
  if (!Array.isArray(shape) || shape.length > MOST_DIMENSIONS) return undefined;
  let count = 1;
  for (const size of shape as unknown[]) {
    if (!Number.isSafeInteger(size) || (size as number) < 0) return undefined;
    count *= size as number;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * The elements that little-endian `bytes` hold: a view where the bytes are aligned for the type, else a copy.
 *
 * @param bytes as many as `shape` and `dtype` need
 */
export function tensorFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): TensorData {
  if (!HOST_IS_LITTLE_ENDIAN) {
    throw new TensorARError(
      "tensors are stored little-endian, and this machine is big-endian; use a little-endian one",
    );
  }
  const size = bytesPerElement(dtype);
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const data = new KINDS[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
  return { dtype, shape, data };
}

/** The bytes of a tensor's elements, little-endian; a view. */
export function bytesOf({ data }: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Throws unless dtype, shape and data of a tensor fit one another. */
export function checkTensor(name: string, tensor: TensorData): void {
  const { dtype, shape, data } = tensor;
  const found = `tensor ${quote(name)}`;
  if (!Object.hasOwn(KINDS, dtype)) {
    throw new TensorARError(`${found}: dtype ${quote(dtype)} is unknown; use ${Object.keys(KINDS).join(", ")}`);
  }
  const count = elementCount(shape);
  if (count === undefined) {
    throw new TensorARError(`${found}: shape ${quote(shape)} is not a list of non-negative integers`);
  }
  const kind = KINDS[dtype];
  const actual = Object.prototype.toString.call(data).slice("[object ".length, -1); // also right across realms
  if (actual !== kind.name) {
    throw new TensorARError(`${found}: data is a ${actual}; dtype ${dtype} is held by a ${kind.name}`);
  }
  if (data.length !== count) {
    throw new TensorARError(`${found}: data holds ${data.length} elements; shape ${quote(shape)} needs ${count}`);
  }
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
