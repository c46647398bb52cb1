import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";
import { checkPair, type FeatureSet } from "./feature-set";
import { forProducts, type Operand } from "./matrix";
import { shuffledIndices } from "./shuffle";

/** How many subsets are drawn, and how large they are. */
export interface KidOptions {
  /** Random subsets that are compared; 100 in the paper's code. */
  readonly subsets: number;
  /** Rows of each subset; 1000 in the paper's code. */
  readonly subsetSize: number;
  /** Which rows the subsets hold; an integer in [0, 2^32). */
  readonly seed: number;
}

/** The Kernel Inception Distance over subsets. */
export interface Kid {
  /** Mean over the subsets; often given times 1000. Unbiased, so below 0 now and then for equal distributions. */
  readonly mean: number;
  /** Standard deviation over the subsets (divided by their number). */
  readonly std: number;
}

/**
 * Kernel Inception Distance: the unbiased estimate of the squared maximum mean discrepancy with the kernel
 * `(x · y / dims + 1)³`, over random subsets without replacement.
 * Cost: 4 · subsets · subsetSize² · dims operations; the paper's 100 subsets of 1000, with 2048 features, take about a minute.
 * Source: Bińkowski et al. 2018, section 4, and their code's defaults. Differs: subsets come from a seed of ours.
 *
 * @throws TensorARError where widths differ, a subset is larger than a set, or values are not finite
 */
export function kernelDistance(real: FeatureSet, fake: FeatureSet, options: KidOptions): Kid {
  const steps = kernelDistanceSteps(real, fake, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** {@link kernelDistance} subset by subset, so that callers can do something else, or stop, in between. */
export function* kernelDistanceSteps(real: FeatureSet, fake: FeatureSet, options: KidOptions): Generator<void, Kid> {
  requireOptions("kernelDistance", options, ["subsets", "subsetSize", "seed"]);
  const { subsets, subsetSize, seed } = options;
  checkPair("kernelDistance", real, fake);
  expectInteger("kernelDistance", "subsets", subsets, 1, 2 ** 31);
  expectInteger("kernelDistance", "subsetSize", subsetSize, 2, 2 ** 31);
  expectInteger("kernelDistance", "seed", seed, 0, 2 ** 32 - 1);
  const fewest = Math.min(real.count, fake.count);
  if (subsetSize > fewest) {
    throw new TensorARError(
      `kernelDistance: subsets of ${subsetSize} rows don't fit a set of ${fewest}; pass subsetSize up to ${fewest}, or more images`,
    );
  }
  const estimates: number[] = [];
  for (let subset = 0; subset < subsets; subset++) {
    const rowsOf = (count: number, which: number) =>
      shuffledIndices(count, (seed + 0x9e3779b9 * (2 * subset + which)) >>> 0).subarray(0, subsetSize);
    estimates.push(unbiasedMmd(gather(real, rowsOf(real.count, 0)), gather(fake, rowsOf(fake.count, 1)), real.dims));
    yield;
  }
  const mean = estimates.reduce((sum, value) => sum + value, 0) / subsets;
  const variance = estimates.reduce((sum, value) => sum + (value - mean) ** 2, 0) / subsets;
  return { mean, std: Math.sqrt(variance) };
}

/** `mean over i ≠ j of k(x_i, x_j) + the same of y - 2 · mean of k(x_i, y_j)` */
function unbiasedMmd(x: Operand, y: Operand, dims: number): number {
  const m = x.rows;
  return (
    (kernelSum(x, x, dims, true) + kernelSum(y, y, dims, true)) / (m * (m - 1)) -
    (2 * kernelSum(x, y, dims, false)) / (m * m)
  );
}

/** Sum of the kernel over all pairs of rows; with `apart` without pairs of a row and itself. */
function kernelSum(a: Operand, b: Operand, depth: number, apart: boolean): number {
  let total = 0;
  const part = apart ? "lower" : "all"; // of equal pairs one counts for both
  forProducts("kernelDistance", a, b, { depth, part }, ({ values, stride, row, column, rows, columns }) => {
    for (let i = 0; i < rows; i++) {
      const end = apart ? Math.min(columns, row + i - column) : columns;
      for (let j = 0; j < end; j++) {
        const base = values[i * stride + j]! / depth + 1;
        total += base * base * base; // `** 3` is as slow as any power
      }
    }
  });
  return apart ? 2 * total : total;
}

/** Some rows of a set, as a copy. */
function gather({ data, dims }: FeatureSet, indices: Int32Array): Operand {
  const rows = indices.length;
  const copy = data instanceof Float32Array ? new Float32Array(rows * dims) : new Float64Array(rows * dims);
  for (let i = 0; i < rows; i++) {
    const at = indices[i]! * dims;
    copy.set(data.subarray(at, at + dims), i * dims);
  }
  return { data: copy, rows, rowStep: dims, depthStep: 1 };
}
