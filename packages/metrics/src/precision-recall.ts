import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";
import { checkPair, type FeatureSet } from "./feature-set";

/** Shares of images within the other set's manifold. */
export interface PrecisionRecall {
  /** Fraction of fakes inside the manifold of the real ones: how many generated images look real. */
  readonly precision: number;
  /** Fraction of real ones inside the manifold of the fakes: how much of the data is covered. */
  readonly recall: number;
}

// Pairs are visited in tiles of this many rows, so that rows come from the cache.
const TILE = 64;

/**
 * Improved precision and recall, both in [0, 1]. A manifold is the union of balls around the rows of a set, each as wide
 * as the distance to its k-th nearest neighbour in that set. Exact distances in float64; memory grows with
 * `(real.count + fake.count) · k`, time with `(real.count + fake.count)² · dims`.
 * Source: Kynkäänniemi et al. 2019; k = 3 in the paper and in openai/guided-diffusion, whose float16 distances (which
 * decide points near a boundary by rounding) are not imitated.
 *
 * @throws TensorARError where widths differ, a set has no more than k rows, or values are NaN or infinite
 */
export function precisionRecall(real: FeatureSet, fake: FeatureSet, options: { readonly k: number }): PrecisionRecall {
  requireOptions("precisionRecall", options, ["k"]);
  const { k } = options;
  checkPair("precisionRecall", real, fake);
  expectInteger("precisionRecall", "k", k, 1, Number.MAX_SAFE_INTEGER);
  const rows = Math.min(real.count, fake.count);
  if (k >= rows) {
    const remedy = `pass k from 1 to ${rows - 1}, or more images`;
    throw new TensorARError(`precisionRecall: k = ${k} needs more than ${k} rows in each set, not ${rows}; ${remedy}`);
  }
  const radiiOfReal = squaredRadii(real, k);
  const radiiOfFake = squaredRadii(fake, k);
  const insideReal = new Uint8Array(fake.count);
  const insideFake = new Uint8Array(real.count);
  forTiles(real.count, fake.count, (i, j) => {
    if (insideFake[i] && insideReal[j]) return;
    const distance = squaredDistance(real, i, fake, j);
    if (distance <= radiiOfReal[i]!) insideReal[j] = 1;
    if (distance <= radiiOfFake[j]!) insideFake[i] = 1;
  });
  return { precision: fractionOf(insideReal), recall: fractionOf(insideFake) };
}

/** Squared distance of every row to its k-th nearest other row, `[count]`; k < count. */
export function squaredRadii(set: FeatureSet, k: number): Float64Array {
  const nearest = new Float64Array(set.count * k).fill(Number.POSITIVE_INFINITY); // [count, k], ascending
  forTiles(set.count, set.count, (i, j) => {
    if (j >= i) return; // each pair once
    const distance = squaredDistance(set, i, set, j);
    insert(nearest, i * k, k, distance);
    insert(nearest, j * k, k, distance);
  });
  return Float64Array.from({ length: set.count }, (_, i) => nearest[i * k + k - 1]!);
}

function forTiles(rows: number, columns: number, visit: (i: number, j: number) => void): void {
  for (let top = 0; top < rows; top += TILE) {
    for (let left = 0; left < columns; left += TILE) {
      for (let i = top; i < Math.min(top + TILE, rows); i++) {
        for (let j = left; j < Math.min(left + TILE, columns); j++) visit(i, j);
      }
    }
  }
}

// Differences are squared one by one: |a|² + |b|² - 2 a·b would cancel where it matters, among near neighbours.
function squaredDistance(a: FeatureSet, i: number, b: FeatureSet, j: number): number {
  const [x, y, dims] = [a.data, b.data, a.dims];
  const [atX, atY] = [i * dims, j * dims];
  let sum = 0;
  for (let t = 0; t < dims; t++) {
    const difference = x[atX + t]! - y[atY + t]!;
    sum += difference * difference;
  }
  return sum;
}

/** Puts `value` among the `size` smallest that start at `at`, which stay sorted; the largest drops out. */
function insert(smallest: Float64Array, at: number, size: number, value: number): void {
  let place = at + size - 1;
  if (!(value < smallest[place]!)) return;
  for (; place > at && smallest[place - 1]! > value; place--) smallest[place] = smallest[place - 1]!;
  smallest[place] = value;
}

const fractionOf = (flags: Uint8Array): number => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
