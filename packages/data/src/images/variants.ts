import { TensorARError } from "@tensorar/core";
import { resizeBicubic } from "./bicubic";
import { mirrored } from "./flip";
import { movedImage } from "./move";
import { toFloatImages, toPixels } from "./pixels";

/**
 * What variants of an image are made of:
 * - `flip`: every variant mirrored left to right as well;
 * - `shift`: the image moved up, down, left and right;
 * - `crop`: the four corners and the center of the image enlarged. With `flip` these are the ten crops of LlamaGen.
 */
export const AUGMENTATIONS = ["flip", "shift", "crop"] as const;

/** One of {@link AUGMENTATIONS}. */
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** Which variants of an image there are. */
export interface VariantOptions {
  readonly augment: readonly Augmentation[];
  /** Pixels by which `shift` moves. */
  readonly shift: number;
  /** Factor by which `crop` enlarges, above 1; LlamaGen's are 1.1 and 1.05. */
  readonly cropRange: number;
}

/** How many variants {@link imageVariants} makes of an image. */
export function variantCount(augment: readonly Augmentation[]): number {
  const whole = 1 + (augment.includes("shift") ? 4 : 0) + (augment.includes("crop") ? 5 : 0);
  return (augment.includes("flip") ? 2 * whole : whole) - 1; // the image itself is none
}

/**
 * Variants of an image, without the image itself: moved, cropped, then what is mirrored of all. Depends on nothing but its
 * arguments.
 *
 * Source of crops: `TenCrop` in LlamaGen `autoregressive/train/extract_codes_c2i.py`. Differs: enlarged from the square image, by
 * bicubic interpolation, and not from the file that it was made of.
 *
 * @param pixels [size, size, 3]
 * @returns [variantCount] of [size, size, 3]
 * @throws TensorARError where enlarging leaves an image as large as it is
 */
export function imageVariants(pixels: Uint8Array, size: number, options: VariantOptions): Uint8Array[] {
  const { augment, shift, cropRange } = options;
  const whole = [
    pixels,
    ...(augment.includes("shift") ? shifted(pixels, size, shift) : []),
    ...(augment.includes("crop") ? cropped(pixels, size, cropRange) : []),
  ];
  const all = augment.includes("flip") ? [...whole, ...whole.map((each) => mirrored(each, size))] : whole;
  return all.slice(1);
}

/**
 * Pixels a side of an image that is enlarged by a factor, rounded down as LlamaGen does.
 * @throws TensorARError where it is as large as it was
 */
export function enlargedSize(size: number, range: number): number {
  const large = Math.trunc(size * range);
  if (large > size) return large;
  throw new TensorARError(
    `crop range ${range}: an image of ${size} pixels becomes none larger; use ${((size + 1) / size).toFixed(3)} or more`,
  );
}

/** Moved up, down, left, right. */
const shifted = (pixels: Uint8Array, size: number, by: number): Uint8Array[] => [
  movedImage(pixels, size, -by, 0),
  movedImage(pixels, size, by, 0),
  movedImage(pixels, size, 0, -by),
  movedImage(pixels, size, 0, by),
];

/** Top left, top right, bottom left, bottom right, center. */
function cropped(pixels: Uint8Array, size: number, range: number): Uint8Array[] {
  const large = enlargedSize(size, range);
  const enlarged = toPixels(resizeBicubic(toFloatImages(pixels), { count: 1, height: size, width: size }, large));
  const margin = large - size;
  const middle = roundedHalf(margin);
  const corners = [0, margin].flatMap((top) => [0, margin].map((left) => [top, left] as const));
  return [...corners, [middle, middle] as const].map(([top, left]) => cut(enlarged, large, size, top, left));
}

/** Half of a number; of an odd one the even neighbour, as Python rounds. */
function roundedHalf(count: number): number {
  const below = Math.floor(count / 2);
  return count % 2 === 0 || below % 2 === 0 ? below : below + 1;
}

/** [size, size, 3] of [from, from, 3] */
function cut(pixels: Uint8Array, from: number, size: number, top: number, left: number): Uint8Array {
  const out = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const start = ((top + row) * from + left) * 3;
    out.set(pixels.subarray(start, start + size * 3), row * size * 3);
  }
  return out;
}
