import type { TensorData } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import { fillUniform } from "@tensorar/noise";

export const int32 = (data: Int32Array, shape: readonly number[]): TensorData => ({ dtype: "int32", shape, data });

export const float32 = (data: Float32Array, shape: readonly number[]): TensorData => ({
  dtype: "float32",
  shape,
  data,
});

/** Uniform numbers in [0, 1) of an address, see `fillUniform`. */
export function uniformsOf(shape: readonly number[], seed: number, name: string, ...indices: number[]): TensorData {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  fillUniform(data, seed, name, ...indices);
  return float32(data, shape);
}

/** Codes of some images: [B · T]. */
export function tokensOf({ codes }: Codes, images: Int32Array, T: number): Int32Array {
  const tokens = new Int32Array(images.length * T);
  for (const [b, image] of images.entries()) tokens.set(codes.subarray(image * T, (image + 1) * T), b * T);
  return tokens;
}
