import { recognize, TensorARError } from "@tensorar/core";

/**
 * The error for a file that begins as something else.
 *
 * @param first its first bytes, as `recognize` takes them
 * @param wanted `a safetensors file`
 */
export function wrongContents(name: string, first: Uint8Array, wanted: string): TensorARError {
  const found = recognize(first);
  if (found) return new TensorARError(`${name}: it is ${found.what}, not ${wanted}; ${found.remedy}`);
  const bytes = [...first.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return new TensorARError(`${name}: it is not ${wanted}: it begins with the bytes ${bytes}; fetch it again`);
}
