import { TensorARError } from "@tensorar/core";
import { countRows, expectFinite, expectInteger } from "./checks";
import { addRowProducts, mirrorLower } from "./matrix";

/** What a Gaussian fit needs of a set of features. */
export interface MomentsResult {
  readonly count: number;
  /** `[dims]` */
  readonly mean: Float64Array;
  /** `[dims, dims]`, symmetric, unbiased: divided by count - 1 */
  readonly covariance: Float64Array;
}

// Rows centered at once, as a copy of 16 MiB at 2048 features. Fewer cost more updates of the whole matrix.
const CHUNK = 1024;
const MAX_DIMS = 16384; // a float64 matrix of 2 GiB

/**
 * Streaming mean and covariance of `dims` features in float64.
 *
 * @param dims 1 … 16384; memory is 8 · dims² bytes, and while rows are added a copy of up to 1024 of them
 * @throws TensorARError where `dims` is out of range
 */
export const createMoments = (dims: number): Moments => new Moments(dims);

/**
 * Running mean and scatter matrix. Every chunk of rows is centered on its own mean and then combined, so that a large
 * mean cancels nothing. Source: Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing
 * sample variances".
 */
export class Moments {
  readonly dims: number;
  #count = 0;
  readonly #mean: Float64Array; // [dims]
  readonly #scatter: Float64Array; // [dims, dims], Σ (x - mean)(x - mean)ᵀ; only the lower triangle is kept

  constructor(dims: number) {
    expectInteger("createMoments", "dims", dims, 1, MAX_DIMS);
    this.dims = dims;
    this.#mean = new Float64Array(dims);
    this.#scatter = new Float64Array(dims * dims);
  }

  /** Rows seen so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds rows of features, `[n, dims]`, n ≥ 1.
   *
   * @throws TensorARError at a length that is not whole rows, or at NaN and infinity; nothing is added then
   */
  add(features: Float32Array | Float64Array): void {
    const { dims } = this;
    const rows = countRows("Moments.add", "features", features, dims);
    expectFinite("Moments.add", "features", features, dims);
    for (let start = 0; start < rows; start += CHUNK) {
      this.#addChunk(features.subarray(start * dims, (start + CHUNK) * dims));
    }
  }

  /**
   * Adds the rows that `other` has seen, as if they had been added here; `other` stays as it is.
   *
   * @throws TensorARError where the widths differ
   */
  merge(other: Moments): void {
    if (other.dims !== this.dims) {
      throw new TensorARError(
        `Moments.merge: ${other.dims} dims do not fit ${this.dims}; merge features of one network`,
      );
    }
    const scatter = other.#scatter;
    for (let i = 0; i < scatter.length; i++) this.#scatter[i] = this.#scatter[i]! + scatter[i]!;
    this.#combine(other.#count, other.#mean);
  }

  /**
   * Mean and unbiased covariance of all rows, as copies.
   *
   * @throws TensorARError for fewer than 2 rows
   */
  result(): MomentsResult {
    const count = this.#count;
    if (count < 2)
      throw new TensorARError(`Moments.result: a covariance of ${count} rows is undefined; add at least 2`);
    const covariance = this.#scatter.map((value) => value / (count - 1));
    mirrorLower(covariance, this.dims);
    return { count, mean: this.#mean.slice(), covariance };
  }

  #addChunk(features: Float32Array | Float64Array): void {
    const { dims } = this;
    const rows = features.length / dims;
    const mean = new Float64Array(dims);
    const centered = new Float64Array(features.length); // [rows, dims]
    for (let at = 0; at < features.length; at += dims)
      for (let j = 0; j < dims; j++) mean[j] = mean[j]! + features[at + j]! / rows;
    for (let at = 0; at < features.length; at += dims)
      for (let j = 0; j < dims; j++) centered[at + j] = features[at + j]! - mean[j]!;
    const columns = { data: centered, rows: dims, rowStep: 1, depthStep: dims };
    addRowProducts("Moments.add", this.#scatter, columns, columns, { depth: rows, part: "lower" });
    this.#combine(rows, mean);
  }

  /** Moves the mean, and adds the scatter between the two means; the other's own scatter is already in. */
  #combine(count: number, mean: Float64Array): void {
    const { dims } = this;
    const total = this.#count + count;
    if (count === 0) return;
    const weight = (this.#count * count) / total;
    const delta = mean.map((value, j) => value - this.#mean[j]!);
    for (let i = 0; i < dims; i++) {
      const scaled = delta[i]! * weight;
      for (let j = 0; j <= i; j++) this.#scatter[i * dims + j] = this.#scatter[i * dims + j]! + scaled * delta[j]!;
    }
    for (let j = 0; j < dims; j++) this.#mean[j] = this.#mean[j]! + (delta[j]! * count) / total;
    this.#count = total;
  }
}

/**
 * Moments of all rows from those of disjoint parts, as computed on several machines.
 *
 * @param parts at least one, of one width, 2 rows or more each
 * @throws TensorARError where counts or widths do not fit
 */
export function mergeMoments(parts: readonly MomentsResult[]): MomentsResult {
  const [first, ...rest] = parts;
  if (!first) throw new TensorARError("mergeMoments: no parts; pass at least one");
  let whole: MomentsResult = first;
  for (const part of rest) {
    const dims = whole.mean.length;
    if (part.mean.length !== dims)
      throw new TensorARError(
        `mergeMoments: ${part.mean.length} dims do not fit ${dims}; merge features of one network`,
      );
    expectInteger("mergeMoments", "count", part.count, 2, Number.MAX_SAFE_INTEGER);
    const count = whole.count + part.count;
    const weight = (whole.count * part.count) / count;
    const [from, to] = [whole, part];
    const delta = from.mean.map((value, j) => to.mean[j]! - value);
    const covariance = from.covariance.map((value, at) => {
      const between = delta[Math.floor(at / dims)]! * delta[at % dims]! * weight;
      return ((from.count - 1) * value + (to.count - 1) * to.covariance[at]! + between) / (count - 1);
    });
    whole = { count, mean: from.mean.map((value, j) => value + (delta[j]! * to.count) / count), covariance };
  }
  return whole;
}
