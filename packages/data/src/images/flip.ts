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
  const { count, height, width } = shape;
  const out = images.slice();
  const coin = createStream(seed, "horizontal-flip", step);
  for (let image = 0; image < count; image++) {
    if (coin.uniform() < 0.5) continue;
    for (let row = image * height; row < (image + 1) * height; row++) {
      for (let x = 0; x < width; x++) {
        const source = (row * width + x) * 3;
        out.set(images.subarray(source, source + 3), (row * width + width - 1 - x) * 3);
      }
    }
  }
  return out;
}
