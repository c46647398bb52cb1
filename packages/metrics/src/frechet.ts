import { expectFinite, expectLength } from "./checks";
import { checkEntries, checkVariances, pivotedCholesky } from "./cholesky";
import { symmetricEigenvalues } from "./eigen";
import { TensorARError } from "./errors";
import { lowerProducts, trapezoidProducts } from "./matrix";

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
 * below 0 gives 0. Cost at 2048 features: about 5 · 10¹⁰ operations, 150 MiB.
 *
 * @throws TensorARError where widths differ, values are not finite, or a covariance is not symmetric and semi-definite
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
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
  const { factor, order } = pivotedCholesky("frechetDistance", a, dims); // [rank, dims], Lᵀ
  const variances = Float64Array.from({ length: dims }, (_, i) => b[i * dims + i]!);
  const largest = variances.reduce((max, value) => Math.max(max, value), 0);
  checkEntries("frechetDistance", b, dims, largest);
  checkVariances("frechetDistance", variances, largest);
  const rank = factor.length / dims;
  if (rank === 0) return 0;
  const half = trapezoidProducts(factor, inOrder(b, order), dims); // [rank, dims], Lᵀ Σb
  const eigenvalues = symmetricEigenvalues(lowerProducts(half, factor, dims), rank); // which reads the lower triangle
  checkVariances("frechetDistance", eigenvalues, eigenvalues.at(-1)!); // b's, as far as a reaches
  return eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0); // below 0 only by rounding
}

/** Rows and columns of a symmetric matrix in another order. */
function inOrder(matrix: Float64Array, order: Int32Array): Float64Array {
  const size = order.length;
  return matrix.map((_, at) => matrix[order[Math.floor(at / size)]! * size + order[at % size]!]!);
}

function checkGaussian(name: string, { mean, covariance }: Gaussian): void {
  if (mean.length === 0) throw new TensorARError(`frechetDistance: ${name}.mean is empty; pass the result of moments`);
  const dims = mean.length;
  expectLength("frechetDistance", `${name}.covariance`, covariance.length, { dims, columns: dims });
  expectFinite("frechetDistance", `${name}.mean`, mean, dims);
  expectFinite("frechetDistance", `${name}.covariance`, covariance, dims);
}
