import { requireOptions, TensorARError } from "@tensorar/core";
import { expectFinite, expectLength } from "./checks";
import { pivotedCholesky } from "./cholesky";
import { symmetricEigenvalues } from "./eigen";
import { addRowProducts, type Operand } from "./matrix";

/** Mean and covariance of a set of features, as `Moments.result` gives them. */
export interface Gaussian {
  /** `[dims]` */
  readonly mean: Float64Array;
  /** `[dims, dims]`, symmetric and positive semi-definite, row-major */
  readonly covariance: Float64Array;
}

/**
 * Squared Fréchet (2-Wasserstein) distance of two Gaussians, `|µa - µb|² + tr Σa + tr Σb - 2 tr √(Σa Σb)`, in squared
 * units of the features; 0 for the same. With the pooled features of Inception this is FID, with its spatial ones sFID.
 *
 * The trace of the root takes no root of a matrix: with `Σa = L Lᵀ` the product has the eigenvalues of `Lᵀ Σb L`, which
 * is symmetric and as large as Σa's rank, so fewer samples than features are no special case.
 * Source: Heusel et al. 2017, eq. 6. Differs from the original's code: no `sqrtm`, no ε on the diagonal, and rounding
 * below 0 gives 0. Covariances that were computed in float32 leave the distance exact to about 1e-6 of it, singular ones
 * too (1e-4, where many rows were added one by one). Cost: 3 · dims³ operations and four more matrices of 8 · dims² bytes while it runs, one of them at a
 * time in a WebAssembly memory; with 2048 features some 2 s and 130 MiB, with 16384 nearly 9 GiB.
 *
 * @throws TensorARError where widths differ, values are not finite, or a covariance is not symmetric and semi-definite up to
 *   1e-4 of its largest variance
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
  for (const each of [a, b]) requireOptions("frechetDistance", each, ["mean", "covariance"]);
  const dims = a.mean.length;
  if (dims !== b.mean.length) {
    const remedy = "compare features of one network";
    throw new TensorARError(`frechetDistance: a has ${dims} features, b has ${b.mean.length}; ${remedy}`);
  }
  checkGaussian("a", a);
  checkGaussian("b", b);
  let distance = 0;
  for (let i = 0; i < dims; i++) {
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * dims + i]! + b.covariance[i * dims + i]!;
  }
  return Math.max(0, distance - 2 * traceOfRoot(a.covariance, b.covariance, dims));
}

/** `tr √(Σa Σb)` */
function traceOfRoot(a: Float64Array, b: Float64Array, dims: number): number {
  const where = "frechetDistance";
  const { factor, order } = pivotedCholesky(where, a, dims); // [rank, dims], Lᵀ
  pivotedCholesky(where, b, dims); // only for its checks
  const rank = factor.length / dims;
  if (rank === 0) return 0;
  const half = halfProduct(factor, inOrder(b, order), dims);
  const eigenvalues = symmetricEigenvalues(wholeProduct(half, factor, dims), rank);
  return eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0); // below 0 only by rounding
}

/** Lᵀ Σ `[rank, dims]`, on and above the diagonal, from Lᵀ and Σ. */
function halfProduct(factor: Float64Array, covariance: Float64Array, dims: number): Float64Array {
  const half = new Float64Array(factor.length);
  const options = { depth: dims, part: "upper", triangular: true } as const;
  addRowProducts("frechetDistance", half, rowsOf(factor, dims), rowsOf(covariance, dims), options);
  return half;
}

/** Lᵀ Σ L `[rank, rank]`, on and below the diagonal, from Lᵀ Σ and Lᵀ; needs no more of Lᵀ Σ than `halfProduct` gives. */
function wholeProduct(half: Float64Array, factor: Float64Array, dims: number): Float64Array {
  const rank = factor.length / dims;
  const whole = new Float64Array(rank * rank);
  const options = { depth: dims, part: "lower", triangular: true } as const;
  addRowProducts("frechetDistance", whole, rowsOf(factor, dims), rowsOf(half, dims), options);
  return whole;
}

const rowsOf = (data: Float64Array, dims: number): Operand => ({
  data,
  rows: data.length / dims,
  rowStep: dims,
  depthStep: 1,
});

/** Rows and columns of a symmetric matrix in another order. */
function inOrder(matrix: Float64Array, order: Int32Array): Float64Array {
  const size = order.length;
  const ordered = new Float64Array(matrix.length);
  for (let i = 0; i < size; i++) {
    const row = order[i]! * size;
    for (let j = 0; j < size; j++) ordered[i * size + j] = matrix[row + order[j]!]!;
  }
  return ordered;
}

function checkGaussian(name: string, { mean, covariance }: Gaussian): void {
  if (mean.length === 0) throw new TensorARError(`frechetDistance: ${name}.mean is empty; pass the result of moments`);
  const dims = mean.length;
  expectLength("frechetDistance", `${name}.covariance`, covariance.length, { dims, columns: dims });
  expectFinite("frechetDistance", `${name}.mean`, mean, dims);
  expectFinite("frechetDistance", `${name}.covariance`, covariance, dims);
}
