import type { DType, TensorData, TypedArray } from "../src/index";

/** Reproducible integers in [0, n): the high bits of a linear congruential generator (Numerical Recipes). */
export function randomIntegers(seed: number): (n: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b9);
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % n;
  };
}

const MAKERS: Readonly<Record<DType, (length: number, next: () => number) => TypedArray>> = {
  float64: (length, next) => Float64Array.from({ length }, () => next() / 7),
  float32: (length, next) => Float32Array.from({ length }, () => next() / 7),
  float16: (length, next) => Uint16Array.from({ length }, next),
  bfloat16: (length, next) => Uint16Array.from({ length }, next),
  int64: (length, next) => BigInt64Array.from({ length }, () => -(2n ** 40n) * BigInt(next())),
  int32: (length, next) => Int32Array.from({ length }, () => -next()),
  int16: (length, next) => Int16Array.from({ length }, next),
  int8: (length, next) => Int8Array.from({ length }, next),
  uint8: (length, next) => Uint8Array.from({ length }, next),
  bool: (length, next) => Uint8Array.from({ length }, () => next() % 2),
};

const NAMES = [
  "layers.0.weight",
  "ünïcödé/漢字 😀",
  'quote " and \\',
  "",
  "0",
  "constructor",
  "line\nbreak",
  "a:b,{c}",
];

/** A few tensors of all types, of ranks 0 to 3 with empty ones among them, under ordinary and odd names. */
export function randomTensors(seed: number): Record<string, TensorData> {
  const next = randomIntegers(seed);
  const tensors: Record<string, TensorData> = {};
  for (let count = next(6); count >= 0; count--) {
    const dtypes = Object.keys(MAKERS) as DType[];
    const dtype = dtypes[next(dtypes.length)]!;
    const shape = Array.from({ length: next(4) }, () => next(5));
    const length = shape.reduce((product, size) => product * size, 1);
    const data = MAKERS[dtype](length, () => next(65536));
    tensors[NAMES[next(NAMES.length)]!] = { dtype, shape, data };
  }
  return tensors;
}

/** A file of any header and data; nothing is checked. */
export function fileOf(header: string, data: Uint8Array, encoding: BufferEncoding = "utf8"): Uint8Array {
  const text = Buffer.from(header, encoding);
  const file = new Uint8Array(8 + text.byteLength + data.byteLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.byteLength), true);
  file.set(text, 8);
  file.set(data, 8 + text.byteLength);
  return file;
}
