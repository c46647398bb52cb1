import { expectFinite, expectLength } from "./checks";
import { pivotedCholesky } from "./cholesky";
import { symmetricEigenvalues } from "./eigen";
import { TensorARError } from "./errors";
import { rowProducts } from "./matrix";

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
  const factor = pivotedCholesky("frechetDistance", a, dims); // [rank, dims], Lᵀ
  const rank = factor.length / dims;
  // Factoring b as well says whether it is semi-definite, at a fraction of the cost of what follows.
  if (pivotedCholesky("frechetDistance", b, dims).length === 0 || rank === 0) return 0;
  const half = rowProducts(factor, b, dims); // [rank, dims], Lᵀ Σb
  const eigenvalues = symmetricEigenvalues(rowProducts(half, factor, dims), rank);
  return eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0); // below 0 only by rounding
}

function checkGaussian(name: string, { mean, covariance }: Gaussian): void {
  if (mean.length === 0) throw new TensorARError(`frechetDistance: ${name}.mean is empty; pass the result of moments`);
  const dims = mean.length;
  expectLength("frechetDistance", `${name}.covariance`, covariance.length, { dims, columns: dims });
  expectFinite("frechetDistance", `${name}.mean`, mean, dims);
  expectFinite("frechetDistance", `${name}.covariance`, covariance, dims);
}
