import { createStream } from "@tensorar/noise";
import { expectImages, type ImageShape } from "./pixels";

/**
 * Mirrors about half of a batch left to right. Which half is decided by seed and step alone, so a resumed run mirrors
 * the same images. Not for sets in which left and right mean something, such as emoji with letters and arrows.
 *
 * @param images [count, height, width, 3]
 * @returns a new array of the same shape
 */
export function flipHalf(
  images: Uint8Array,
  shape: ImageShape,
  { seed, step }: { seed: number; step: number },
): Uint8Array {
  expectImages("flipHalf", images.length, shape);
  const { count, width } = shape;
  const out = images.slice();
  const coin = createStream(seed, "horizontal-flip", step);
  const size = images.length / count;
  for (let image = 0; image < count; image++) {
    const [first, end] = [image * size, (image + 1) * size];
    if (coin.uniform() >= 0.5) out.set(mirrored(images.subarray(first, end), width), first);
  }
  return out;
}

/** Images mirrored left to right. @param pixels [..., width, 3] @returns a new array of the same shape */
export function mirrored(pixels: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  for (let row = 0; row < pixels.length; row += width * 3) {
    for (let x = 0; x < width; x++) {
      const source = row + x * 3;
      out.set(pixels.subarray(source, source + 3), row + (width - 1 - x) * 3);
    }
  }
  return out;
}
