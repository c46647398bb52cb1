import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";
import { type CentredSet, centred, distancesByRow, exactSquared, meanRow, type RowProducts } from "./distances";
import { checkPair, type FeatureSet } from "./feature-set";

/** Precision, recall, density and coverage. */
export interface ManifoldScores {
  /** Fraction of fakes inside the manifold of the real ones. */
  readonly precision: number;
  /** Fraction of real ones inside the manifold of the fakes. */
  readonly recall: number;
  /** Balls of real ones that a fake lies in, over k: 1 where fakes are spread as the real ones are, more in dense places. */
  readonly density: number;
  /** Fraction of real ones whose ball holds a fake. */
  readonly coverage: number;
}

/** Neighbours that are counted, and what computes products. */
export interface ManifoldOptions {
  /** Neighbours: 3 for precision and recall in the literature, 5 for density and coverage. */
  readonly k: number;
  readonly products: RowProducts;
}

/**
 * Improved precision and recall, density and coverage of large sets. A manifold is the union of balls around the rows of a
 * set, each as wide as the distance to its k-th nearest other row.
 *
 * Distances come from matrix products in float32. Wherever rounding could decide, at radii and at points close to a
 * boundary, they are computed again in float64, so the result is that of exact distances. Memory: the features in
 * float32, and blocks of 512 rows of distances.
 * Source: Kynkäänniemi et al. 2019; Naeem et al. 2020.
 *
 * @throws TensorARError where widths differ, a set has no more than k rows, or values are not finite
 */
export async function manifoldScores(
  real: FeatureSet,
  fake: FeatureSet,
  options: ManifoldOptions,
): Promise<ManifoldScores> {
  requireOptions("manifoldScores", options, ["k", "products"]);
  const { k, products } = options;
  checkPair("manifoldScores", real, fake);
  expectInteger("manifoldScores", "k", k, 1, Number.MAX_SAFE_INTEGER);
  const rows = Math.min(real.count, fake.count);
  if (k >= rows) {
    const remedy = `pass k from 1 to ${rows - 1}, or more images`;
    throw new TensorARError(`manifoldScores: k = ${k} needs more than ${k} rows in each set, not ${rows}; ${remedy}`);
  }
  const mean = meanRow(real); // distances are the same from anywhere, and float32 is finest near 0
  const [a, b] = [centred(real, mean), centred(fake, mean)];
  const radiiOfReal = await exactRadii(a, k, products);
  const radiiOfFake = await exactRadii(b, k, products);
  const { insideReal, covered, insideFake } = await countInside(a, b, { radiiOfReal, radiiOfFake }, products);
  const fraction = (flags: ArrayLike<number>) => Array.from(flags).filter((flag) => flag > 0).length / flags.length;
  const balls = insideReal.reduce((sum, count) => sum + count, 0);
  return {
    precision: fraction(insideReal),
    recall: fraction(insideFake),
    density: balls / (k * fake.count),
    coverage: fraction(covered),
  };
}

/** Which rows of one set lie in balls of the other. */
async function countInside(
  real: CentredSet,
  fake: CentredSet,
  { radiiOfReal, radiiOfFake }: Readonly<Record<"radiiOfReal" | "radiiOfFake", Float64Array>>,
  products: RowProducts,
) {
  const insideReal = new Int32Array(fake.source.count); // how many balls of real rows each fake lies in
  const covered = new Uint8Array(real.source.count);
  const insideFake = new Uint8Array(real.source.count);
  for await (const { i, squared, error } of distancesByRow(real, fake, products)) {
    const radius = radiiOfReal[i]!;
    for (let j = 0; j < insideReal.length; j++) {
      const [gap, bound] = [squared[j]! - radius, error[j]!];
      if (gap > bound || (gap >= -bound && exactSquared(real, i, fake, j) > radius)) continue;
      insideReal[j] = insideReal[j]! + 1;
      covered[i] = 1;
    }
    for (let j = 0; j < insideReal.length && !insideFake[i]; j++) {
      const [gap, bound] = [squared[j]! - radiiOfFake[j]!, error[j]!];
      if (gap < -bound || (gap <= bound && exactSquared(real, i, fake, j) <= radiiOfFake[j]!)) insideFake[i] = 1;
    }
  }
  return { insideReal, covered, insideFake };
}

/** Squared distance of every row to its k-th nearest other row. */
async function exactRadii(set: CentredSet, k: number, products: RowProducts): Promise<Float64Array> {
  const { count } = set.source;
  const radii = new Float64Array(count);
  const upper = new Float64Array(count);
  for await (const { i, squared, error } of distancesByRow(set, set, products)) {
    squared[i] = Number.POSITIVE_INFINITY; // a row is no neighbour of itself
    for (let j = 0; j < count; j++) upper[j] = squared[j]! + error[j]!;
    // The k-th nearest is no further than the k-th smallest upper bound, so only what may lie below it is computed again.
    const furthest = smallest(upper, k);
    const candidates: number[] = [];
    for (let j = 0; j < count; j++)
      if (squared[j]! - error[j]! <= furthest) candidates.push(exactSquared(set, i, set, j));
    radii[i] = candidates.sort((x, y) => x - y)[k - 1]!;
  }
  return radii;
}

/** The k-th smallest value. */
function smallest(values: Float64Array, k: number): number {
  const kept = new Float64Array(k).fill(Number.POSITIVE_INFINITY); // ascending
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value < kept[k - 1]!)) continue;
    let place = k - 1;
    for (; place > 0 && kept[place - 1]! > value; place--) kept[place] = kept[place - 1]!;
    kept[place] = value;
  }
  return kept[k - 1]!;
}
