import type { TensorData, TypedArray } from "@tensorar/core";

/** The types that {@link castTensor} makes. */
export type FloatDType = "float64" | "float32" | "float16" | "bfloat16";

// One float32 seen as its bits, to round numbers without allocating.
const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** float32 → float16 bits, rounded to nearest, ties to even; 65520 and beyond becomes Infinity. */
export const float32ToFloat16 = (values: Float32Array): Uint16Array => mapBits(floatBits(values), float16Bits);

/** float16 bits → float32, exact. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16Value(bits[i]!);
  return values;
}

/** float32 → bfloat16 bits, rounded to nearest, ties to even. */
export const float32ToBfloat16 = (values: Float32Array): Uint16Array => mapBits(floatBits(values), bfloat16Bits);

/** bfloat16 bits → float32, exact. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return new Float32Array(wide.buffer);
}

/**
 * The elements of any tensor as float32, in a new array unless they are float32 already; bool gives 0 and 1.
 * float64, int64 and int32 are rounded to nearest where float32 does not hold them.
 */
export function toFloat32({ dtype, data }: TensorData): Float32Array {
  switch (dtype) {
    case "float32":
      return data as Float32Array;
    case "float16":
      return float16ToFloat32(data as Uint16Array);
    case "bfloat16":
      return bfloat16ToFloat32(data as Uint16Array);
    default:
      return new Float32Array(numbers(data));
  }
}

/**
 * The same tensor with elements of another floating-point type, each rounded once to nearest, ties to even (int64
 * beyond 2^53 is rounded to float64 first). Returns `tensor` itself where the type is the same.
 */
export function castTensor(tensor: TensorData, dtype: FloatDType): TensorData {
  if (tensor.dtype === dtype) return tensor;
  const { shape } = tensor;
  if (dtype === "float32") return { dtype, shape, data: toFloat32(tensor) };
  const isFloat16 = tensor.dtype === "float16" || tensor.dtype === "bfloat16";
  const source = isFloat16 ? toFloat32(tensor) : numbers(tensor.data);
  if (dtype === "float64") return { dtype, shape, data: new Float64Array(source) };
  const round = dtype === "float16" ? float16Bits : bfloat16Bits;
  const bits = source instanceof Float32Array ? floatBits(source) : Uint32Array.from(source, roundToOdd);
  return { dtype, shape, data: mapBits(bits, round) };
}

const floatBits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

function mapBits(bits: Uint32Array, round: (bits: number) => number): Uint16Array {
  const rounded = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) rounded[i] = round(bits[i]!);
  return rounded;
}

const numbers = (data: TypedArray): ArrayLike<number> =>
  data instanceof BigInt64Array ? Float64Array.from(data, Number) : data;

/**
 * Bits of the float32 next to `value` towards zero, with the last bit set where anything was cut off ("round to odd").
 * Rounding that to a narrower type gives what rounding `value` itself would: no double rounding.
 */
function roundToOdd(value: number): number {
  scratchFloat[0] = value;
  const nearest = scratchFloat[0];
  if (nearest === value || Number.isNaN(value)) return scratchBits[0]!;
  const truncated = Math.abs(nearest) > Math.abs(value) ? scratchBits[0]! - 1 : scratchBits[0]!;
  return (truncated | 1) >>> 0;
}

function bfloat16Bits(bits: number): number {
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return (bits >>> 16) | 0x40; // NaN, quiet, so that cutting the payload cannot make it an Infinity
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff); // NaN, quiet
  if (magnitude >= 0x477f_f000) return sign | 0x7c00; // 65520 and above round to Infinity
  if (magnitude >= 0x3880_0000) {
    // 2^-14 and above: normal numbers. Rebias the exponent from 127 to 15 and round away 13 bits.
    return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal halves are multiples of 2^-24, the spacing of float32 at 0.5: adding 0.5 rounds to them.
  scratchBits[0] = magnitude;
  scratchFloat[0] = scratchFloat[0]! + 0.5;
  return sign | (scratchBits[0]! - 0x3f00_0000);
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : Number.NaN;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
