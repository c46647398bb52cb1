import { requireOptions, TensorARError } from "@tensorar/core";
import { expectFinite, expectInteger, expectLength } from "./checks";

/** Two sets of images of one size, pair by pair. */
export interface ImagePairs {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Largest possible value less the smallest: 255 for bytes, 2 for [-1, 1]. */
  readonly range: number;
}

const SIZE = 11;
const SIGMA = 1.5;
const [K1, K2] = [0.01, 0.03];

/**
 * Structural similarity of image pairs, at most 1, which equal images have: the mean over channels and over all windows
 * inside the image of a Gaussian 11 × 11 with σ = 1.5; variances are weighted, not corrected for their number.
 * Source: Wang et al. 2004; the same as scikit-image's `structural_similarity` with `gaussian_weights=True`,
 * `use_sample_covariance=False` and these sizes.
 *
 * @param a `[count, height, width, channels]`
 * @param b the same
 * @returns `[count]`
 * @throws TensorARError for images smaller than the window, and lengths that do not fit
 */
export function ssim(a: ArrayLike<number>, b: ArrayLike<number>, pairs: ImagePairs): Float64Array {
  requireOptions("ssim", pairs, ["count", "height", "width", "channels", "range"]);
  const { count, height, width, channels, range } = pairs;
  for (const [name, value] of Object.entries({ count, height, width, channels }))
    expectInteger("ssim", name, value, 1, 2 ** 31);
  if (!(range > 0 && Number.isFinite(range)))
    throw new TensorARError(`ssim: range ${range} is no width; pass 255 for bytes`);
  if (Math.min(height, width) < SIZE)
    throw new TensorARError(
      `ssim: images of ${height} x ${width} are smaller than its window of ${SIZE}; compare larger ones`,
    );
  const pixels = height * width * channels;
  for (const [name, images] of Object.entries({ a, b })) {
    expectLength("ssim", name, images.length, { count, pixels });
    if (images instanceof Float32Array || images instanceof Float64Array) expectFinite("ssim", name, images, pixels);
  }
  const means = new Float64Array(count);
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const [x, y] = [a, b].map((images) => plane(images, image * pixels + channel, pairs)) as [
        Float64Array,
        Float64Array,
      ];
      means[image] = means[image]! + planeSsim(x, y, pairs) / channels;
    }
  }
  return means;
}

/** One channel of one image. */
function plane(images: ArrayLike<number>, start: number, { height, width, channels }: ImagePairs): Float64Array {
  return Float64Array.from({ length: height * width }, (_, i) => images[start + i * channels]!);
}

function planeSsim(x: Float64Array, y: Float64Array, { height, width, range }: ImagePairs): number {
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  const product = (p: Float64Array, q: Float64Array) => p.map((value, i) => value * q[i]!);
  const [meanX, meanY, squareX, squareY, cross] = [x, y, product(x, x), product(y, y), product(x, y)].map((values) =>
    smoothed(values, height, width),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  let sum = 0;
  for (let i = 0; i < meanX.length; i++) {
    const [mx, my] = [meanX[i]!, meanY[i]!];
    const variances = squareX[i]! - mx * mx + (squareY[i]! - my * my);
    const covariance = cross[i]! - mx * my;
    sum += ((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx * mx + my * my + c1) * (variances + c2));
  }
  return sum / meanX.length;
}

const WINDOW = gaussian();

function gaussian(): Float64Array {
  const weights = Float64Array.from({ length: SIZE }, (_, i) =>
    Math.exp(-((i - (SIZE - 1) / 2) ** 2) / (2 * SIGMA ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Weighted means of all windows inside: [height, width] → [height - 10, width - 10]. */
function smoothed(values: Float64Array, height: number, width: number): Float64Array {
  const [rows, columns] = [height - SIZE + 1, width - SIZE + 1];
  const across = new Float64Array(height * columns);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let t = 0; t < SIZE; t++) sum += WINDOW[t]! * values[y * width + x + t]!;
      across[y * columns + x] = sum;
    }
  const out = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let t = 0; t < SIZE; t++) sum += WINDOW[t]! * across[(y + t) * columns + x]!;
      out[y * columns + x] = sum;
    }
  return out;
}
