import { TensorARError } from "@tensorar/core";

/**
 * Pixels as models take them.
 *
 * @param pixels bytes, 0 … 255
 * @returns float32 of the same order, in [-1, 1]: `byte / 127.5 - 1`
 */
export function toFloatImages(pixels: Uint8Array): Float32Array {
  const out = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) out[i] = pixels[i]! / 127.5 - 1;
  return out;
}

/**
 * Pixels as files hold them: the nearest byte; values outside [-1, 1], which decoders produce at hard edges, are clamped.
 *
 * @throws TensorARError for NaN, which has no nearest byte
 */
export function toPixels(images: Float32Array): Uint8Array {
  const out = new Uint8Array(images.length);
  for (let i = 0; i < images.length; i++) {
    const value = images[i]!;
    if (Number.isNaN(value))
      throw new TensorARError(`toPixels: value ${i} of ${images.length} is NaN; look for it in what made the images`);
    out[i] = Math.round((Math.min(1, Math.max(-1, value)) + 1) * 127.5);
  }
  return out;
}

/** Size of a set of RGB images: [count, height, width, 3]. */
export interface ImageShape {
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** @throws TensorARError when sizes are not positive integers or do not multiply to `length` */
export function expectImages(caller: string, length: number, { count, height, width }: ImageShape): void {
  for (const [name, value] of Object.entries({ count, height, width })) {
    if (!Number.isInteger(value) || value < 1)
      throw new TensorARError(`${caller}: ${name} = ${value}; it must be a positive integer`);
  }
  if (length !== count * height * width * 3) {
    throw new TensorARError(
      `${caller}: ${length} values do not make ${count} images of ${height} × ${width} × 3 = ${count * height * width * 3} values`,
    );
  }
}
