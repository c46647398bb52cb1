import { describe, expect, test } from "vitest";
import {
  bfloat16ToFloat32,
  castTensor,
  type DType,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  type TensorData,
  type TypedArray,
  toFloat32,
} from "../src/index";
import { BFLOAT16, HALF, nearestBits, valueOfBits } from "./rounding";

const TYPES = [
  { dtype: "float16", type: HALF, encode: float32ToFloat16, decode: float16ToFloat32 },
  { dtype: "bfloat16", type: BFLOAT16, encode: float32ToBfloat16, decode: bfloat16ToFloat32 },
] as const;

const tensor = (dtype: DType, data: TypedArray): TensorData => ({ dtype, shape: [data.length], data });

/** The float32 next to a value, away from zero (step 1) or towards it (step -1). */
function neighbour(value: number, step: 1 | -1): number {
  const float = Float32Array.of(value);
  new Int32Array(float.buffer)[0]! += step;
  return float[0]!;
}

/** Index of the first difference, and what differs; empty where there is none. */
function differences(actual: ArrayLike<number>, expected: ArrayLike<number>, inputs: ArrayLike<number>): string[] {
  if (actual.length !== expected.length) return [`${actual.length} values instead of ${expected.length}`];
  const wrong = Array.from(actual).findIndex((value, i) => !Object.is(value, expected[i]));
  return wrong < 0 ? [] : [`${inputs[wrong]} gave ${actual[wrong]}, not ${expected[wrong]}`];
}

describe.each(TYPES)("$dtype", ({ dtype, type, encode, decode }) => {
  const finite = Uint16Array.from({ length: type.infinity }, (_, bits) => bits);
  const everyBits = Uint16Array.of(
    ...finite,
    type.infinity,
    ...finite.map((bits) => bits + 0x8000),
    type.infinity + 0x8000,
  );
  // Halfway between every two neighbours; beyond the largest finite one: where Infinity begins.
  const halfway = Array.from(finite, (bits) => (type.values[bits]! + type.values[bits + 1]!) / 2);

  test("decodes every pattern of bits exactly", () => {
    const expected = Array.from(everyBits, (bits) => valueOfBits(bits, type));
    expect(differences(decode(everyBits), expected, everyBits)).toEqual([]);
  });

  test("encodes every value that it holds to the same bits", () => {
    expect(differences(encode(decode(everyBits)), everyBits, everyBits)).toEqual([]);
  });

  test("rounds float32 to nearest, ties to even, around every halfway point", () => {
    const magnitudes = halfway.flatMap((value) => [value, neighbour(value, 1), neighbour(value, -1)]);
    const values = Float32Array.from(magnitudes.flatMap((value) => [value, -value]));
    const expected = Array.from(values, (value) => nearestBits(value, type));
    expect(differences(encode(values), expected, values)).toEqual([]);
  });

  test("rounds float64 once: next to a halfway point it does not go through float32", () => {
    const values = Float64Array.from(
      halfway.flatMap((value) => [value, value * (1 + 2 ** -50), value * (1 - 2 ** -50)]),
    );
    const expected = Array.from(values, (value) => nearestBits(value, type));
    expect(differences(castTensor(tensor("float64", values), dtype).data as Uint16Array, expected, values)).toEqual([]);
  });

  test("keeps NaN, Infinity and the sign of zero", () => {
    const special = Float32Array.of(Number.NaN, Infinity, -Infinity, 0, -0, 3.4e38, 1e-45, -1e-45);
    const decoded = decode(encode(special));
    const largest = dtype === "float16" ? Infinity : valueOfBits(0x7f80 - 1, type);
    expect(Array.from(decoded.subarray(0, 5))).toEqual([Number.NaN, Infinity, -Infinity, 0, -0]);
    expect(decoded[5]).toBe(nearestBits(3.4e38, type) === type.infinity ? Infinity : largest);
    expect(Array.from(decoded.subarray(6))).toEqual([0, -0]);
    // A NaN whose payload lies in the bits that are cut off must not turn into an Infinity.
    const quietlyLost = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer);
    expect(Array.from(decode(encode(quietlyLost)))).toEqual([Number.NaN, Number.NaN]);
  });

  test("works on a part of a larger array", () => {
    const whole = Float32Array.of(9, 1, -2, 9);
    expect(Array.from(decode(encode(whole.subarray(1, 3))))).toEqual([1, -2]);
  });
});

describe("toFloat32", () => {
  test.each<[DType, TypedArray, number[]]>([
    ["float64", Float64Array.of(0.1, 1e300, Number.NaN), [Math.fround(0.1), Infinity, Number.NaN]],
    ["float16", Uint16Array.of(0x3c00, 0xc000), [1, -2]],
    ["bfloat16", Uint16Array.of(0x3f80, 0xc000), [1, -2]],
    ["int64", BigInt64Array.of(-3n, 2n ** 24n + 1n), [-3, 2 ** 24]],
    ["int32", Int32Array.of(-(2 ** 31), 7), [-(2 ** 31), 7]],
    ["int16", Int16Array.of(-32768, 5), [-32768, 5]],
    ["int8", Int8Array.of(-128, 5), [-128, 5]],
    ["uint8", Uint8Array.of(255, 0), [255, 0]],
    ["bool", Uint8Array.of(1, 0), [1, 0]],
  ])("of %s", (dtype, data, expected) => {
    expect(Array.from(toFloat32(tensor(dtype, data)))).toEqual(expected);
  });

  test("of float32 is the array itself", () => {
    const data = Float32Array.of(1, 2);
    expect(toFloat32(tensor("float32", data))).toBe(data);
  });
});

describe("castTensor", () => {
  test("keeps the shape, and the tensor itself where nothing changes", () => {
    const source: TensorData = { dtype: "int32", shape: [2, 1], data: Int32Array.of(3, -4) };
    for (const dtype of ["float64", "float32", "float16", "bfloat16"] as const) {
      const cast = castTensor(source, dtype);
      expect(cast.dtype).toBe(dtype);
      expect(cast.shape).toEqual([2, 1]);
      expect(Array.from(toFloat32(cast))).toEqual([3, -4]);
      expect(castTensor(cast, dtype)).toBe(cast);
    }
  });

  test("between the 16-bit types rounds to nearest", () => {
    const half = tensor("float16", float32ToFloat16(Float32Array.of(1.001953125, 65504)));
    expect(Array.from(toFloat32(castTensor(half, "bfloat16")))).toEqual([1, 65536]);
  });
});
