import { TensorARError } from "./errors";

// A covariance that was rounded to float32 on its way is still accepted.
const ASYMMETRY = 1e-6;

/**
 * `Lᵀ` `[rank, size]` with `Σ = L Lᵀ`, for a positive semi-definite `Σ` `[size, size]` of any rank. The largest
 * remaining variance is taken at every step, and what is left at the end is rounding.
 * Source: Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix"; the same stopping rule.
 *
 * @throws TensorARError where the matrix is not symmetric, or not semi-definite by more than rounding
 */
export function pivotedCholesky(where: string, matrix: Float64Array, size: number): Float64Array {
  const left = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!); // variances not yet explained
  const largest = left.reduce((max, value) => Math.max(max, value), 0);
  checkEntries(where, matrix, size, largest);
  const stop = size * Number.EPSILON * largest;
  const rows: Float64Array[] = [];
  while (rows.length < size) {
    const pivot = indexOfLargest(left);
    if (!(left[pivot]! > stop)) break;
    const row = matrix.slice(pivot * size, (pivot + 1) * size);
    for (const earlier of rows) subtractScaled(row, earlier, earlier[pivot]!);
    const root = Math.sqrt(left[pivot]!);
    for (let j = 0; j < size; j++) {
      row[j] = row[j]! / root;
      left[j] = left[j]! - row[j]! ** 2;
    }
    left[pivot] = 0;
    rows.push(row);
  }
  const worst = left.reduce((min, value) => Math.min(min, value), 0);
  if (worst < -ASYMMETRY * largest) {
    throw new TensorARError(`${where}: a covariance has a negative variance, about ${worst}; pass one of real samples`);
  }
  const factor = new Float64Array(rows.length * size);
  for (const [i, row] of rows.entries()) factor.set(row, i * size);
  return factor;
}

/** Symmetry, and no entry larger than the largest variance, which a semi-definite matrix cannot have. */
function checkEntries(where: string, matrix: Float64Array, size: number, largest: number): void {
  const slack = ASYMMETRY * largest;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const [value, mirrored] = [matrix[i * size + j]!, matrix[j * size + i]!];
      if (Math.abs(value - mirrored) <= slack && Math.abs(value) <= largest + slack) continue;
      const entries = `entries [${i}, ${j}] = ${value} and [${j}, ${i}] = ${mirrored}`;
      throw new TensorARError(`${where}: ${entries} are not of a covariance; pass a symmetric, semi-definite matrix`);
    }
  }
}

function indexOfLargest(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function subtractScaled(target: Float64Array, source: Float64Array, scale: number): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! - scale * source[i]!;
}
