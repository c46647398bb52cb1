import { requireOptions, TensorARError } from "@tensorar/core";
import { expectLength } from "./checks";

/**
 * Peak signal-to-noise ratio of two images, or of two sets of images taken as one, in dB: `10 log10(peak² / MSE)`.
 * Infinity where they are equal.
 *
 * @throws TensorARError where lengths differ, are 0, or `peak` is not positive
 */
export function psnr(a: Uint8Array, b: Uint8Array, options: { readonly peak?: number } = {}): number {
  requireOptions("psnr", options, []);
  const { peak = 255 } = options;
  if (a.length === 0) throw new TensorARError("psnr: a holds 0 values; pass at least one pixel");
  expectLength("psnr", "b", b.length, { "a.length": a.length });
  if (!(peak > 0 && Number.isFinite(peak))) {
    throw new TensorARError(`psnr: peak = ${peak} is no largest value; pass a positive number, 255 for bytes`);
  }
  let sum = 0; // exact: below 2^53 for any array that fits in memory
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10((peak * peak * a.length) / sum);
}
