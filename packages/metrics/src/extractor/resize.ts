/** How pixels between pixels are found. */
export type ResizeFilter = "bilinear" | "bicubic";

interface Kernel {
  /** Its weight is 0 from here on. */
  readonly reach: number;
  weight(distance: number): number;
}

const KERNELS: Readonly<Record<ResizeFilter, Kernel>> = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - x) },
  // Keys' cubic with a = -1/2
  bicubic: {
    reach: 2,
    weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0),
  },
};

/** Of one pixel of the result: the first pixel that it is made of, and the weights from there on; their sum is 1. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/**
 * Resizes an 8-bit RGB image with smoothing: when it shrinks, the filter widens to cover every pixel. Columns first, then
 * rows, each rounded to 8 bits, as Pillow's `resize` and PyTorch's `interpolate(antialias=True)` of uint8 images do.
 * Rounding of the weights differs from theirs, so that a value may be off by one.
 *
 * @param image [height, width, 3]
 * @returns [toHeight, toWidth, 3]
 */
export function resizeImage(
  image: Uint8Array,
  [height, width]: readonly [number, number],
  [toHeight, toWidth]: readonly [number, number],
  filter: ResizeFilter,
): Uint8Array {
  const columns = width === toWidth ? image : resizeAxis(image, height, width, toWidth, 3, filter);
  return height === toHeight ? columns : resizeAxis(columns, 1, height, toHeight, toWidth * 3, filter);
}

/** [outer, size, inner] → [outer, toSize, inner] */
function resizeAxis(
  image: Uint8Array,
  outer: number,
  size: number,
  toSize: number,
  inner: number,
  filter: ResizeFilter,
): Uint8Array {
  const taps = Array.from({ length: toSize }, (_, i) => tapsOf(i, size, toSize, KERNELS[filter]));
  const out = new Uint8ClampedArray(outer * toSize * inner); // rounds and clamps
  for (let o = 0; o < outer; o++) {
    for (const [i, { first, weights }] of taps.entries()) {
      for (let k = 0; k < inner; k++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++) sum += weights[t]! * image[(o * size + first + t) * inner + k]!;
        out[(o * toSize + i) * inner + k] = sum;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

function tapsOf(index: number, size: number, toSize: number, { reach, weight }: Kernel): Taps {
  const ratio = size / toSize;
  const stretch = Math.max(1, ratio);
  const center = (index + 0.5) * ratio;
  const first = Math.max(0, Math.floor(center - reach * stretch + 0.5));
  const end = Math.min(size, Math.floor(center + reach * stretch + 0.5));
  const weights = Float64Array.from({ length: end - first }, (_, t) =>
    weight(Math.abs((first + t + 0.5 - center) / stretch)),
  );
  const total = weights.reduce((sum, value) => sum + value, 0);
  return { first, weights: weights.map((value) => value / total) };
}
