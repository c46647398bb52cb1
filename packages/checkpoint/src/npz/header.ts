import { type DType, quote, TensorARError } from "@tensorar/core";
import { bytesPerElement } from "../tensor";

// Format: numpy/lib/format.py, "Format Version 1.0" … "3.0".

/** What an array's header says. */
export interface NpyHeader {
  /** Undefined for elements that are not read. */
  readonly dtype: DType | undefined;
  /** Its name in the file, such as `<f4`. */
  readonly descr: string;
  readonly shape: readonly number[];
  /** Whether the first axis runs fastest. */
  readonly fortran: boolean;
  /** Bytes before the elements. */
  readonly bytes: number;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
const FIXED_BYTES = 12;
/** Real headers have about 100 bytes. */
export const MAX_HEADER_BYTES = 65_536;
const ALIGNMENT = 64;

const DTYPES: Readonly<Record<string, DType>> = {
  f8: "float64",
  f4: "float32",
  f2: "float16",
  i8: "int64",
  i4: "int32",
  i2: "int16",
  i1: "int8",
  u1: "uint8",
  b1: "bool",
};

/** @param bytes the beginning of the array's file @param where file and array, for messages */
export function parseHeader(bytes: Uint8Array, where: string): NpyHeader {
  const refuse = (what: string): never => {
    throw new TensorARError(`${where}: ${what}`);
  };
  if (bytes.length < FIXED_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte))
    refuse("it is no array of numpy, or was cut off; save it again with numpy.savez");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6]!;
  if (version < 1 || version > 3)
    refuse(`format version ${version} of numpy is unknown; save it again with numpy.savez`);
  const begin = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const end = begin + length;
  if (end > bytes.length) refuse(`its header has ${length} bytes, more than there are; it was cut off: fetch it again`);
  const text = new TextDecoder().decode(bytes.subarray(begin, end));
  const field = (name: string, value: string) =>
    new RegExp(`'${name}':\\s*(${value})\\s*[,}]`).exec(text)?.[1] ??
    refuse(`its header has no ${name}: ${quote(text)}`);
  const descr = field("descr", "'[^']*'|\\[.*\\]").replace(/^'(.*)'$/, "$1");
  const code = descr.slice(1);
  const dtype = /^[<|=]/.test(descr) && Object.hasOwn(DTYPES, code) ? DTYPES[code] : undefined;
  const shape = [...field("shape", "\\([0-9, ]*\\)").matchAll(/[0-9]+/g)].map(([digits]) => Number(digits));
  return { dtype, descr, shape, fortran: field("fortran_order", "True|False") === "True", bytes: end };
}

/** The error for reading elements that are not supported. */
export function unsupportedElements(descr: string, where: string): TensorARError {
  const what = /^\|?O/.test(descr)
    ? "it holds Python objects, which are never read; save numbers"
    : `elements of type ${quote(descr)} are not read; save them as little-endian float32, uint8 or int64`;
  return new TensorARError(`${where}: ${what}`, { code: "unsupported" });
}

/** An array whose elements are read. */
export type NumberArray = NpyHeader & { readonly dtype: DType };

/** Bytes of an array's elements. @throws TensorARError past 2^53 */
export function dataBytes({ dtype, shape }: Pick<NumberArray, "dtype" | "shape">, where: string): number {
  const bytes = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new TensorARError(`${where}: a shape of [${shape}] is impossible; fetch the file again`);
}

/** The header of an array in C order, version 1.0. */
export function encodeHeader({ dtype, shape }: Pick<NumberArray, "dtype" | "shape">): Uint8Array {
  const code = Object.entries(DTYPES).find(([, name]) => name === dtype)?.[0];
  if (code === undefined) throw new TensorARError(`numpy has no elements of type ${dtype}; cast them to float32 first`);
  const descr = (code.endsWith("1") ? "|" : "<") + code;
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const total = Math.ceil((10 + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(total).fill(0x20);
  bytes.set([...MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, total - 10, true);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[total - 1] = 0x0a;
  return bytes;
}
