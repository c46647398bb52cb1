import { TensorARError } from "./errors";

// A covariance that was rounded to float32 on its way is still accepted.
const ASYMMETRY = 1e-6;

export interface PivotedFactor {
  /** `Lᵀ` `[rank, size]`, upper trapezoidal, with its columns in the order of the pivots. */
  readonly factor: Float64Array;
  /** Which column of the matrix each column of the factor is, `[size]`. */
  readonly order: Int32Array;
}

/**
 * `Lᵀ` `[rank, size]` with `Σ = L Lᵀ`, for a positive semi-definite `Σ` `[size, size]` of any rank. The largest
 * remaining variance is taken at every step, and what is left at the end is rounding.
 * Source: Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix"; the same stopping rule.
 *
 * @throws TensorARError where the matrix is not symmetric, or not semi-definite by more than rounding
 */
export function pivotedCholesky(where: string, matrix: Float64Array, size: number): PivotedFactor {
  const left = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!); // variances not yet explained
  const largest = left.reduce((max, value) => Math.max(max, value), 0);
  checkEntries(where, matrix, size, largest);
  const stop = size * Number.EPSILON * largest;
  const rows: Float64Array[] = [];
  const pivots: number[] = [];
  while (rows.length < size) {
    const pivot = indexOfLargest(left);
    if (!(left[pivot]! > stop)) break;
    const row = matrix.slice(pivot * size, (pivot + 1) * size);
    let done = 0;
    // Four rows at a time: each value of `row` is loaded and stored once for four products.
    for (; done + 4 <= rows.length; done += 4) subtractFour(row, rows, done, pivot);
    for (; done < rows.length; done++) subtractScaled(row, rows[done]!, rows[done]![pivot]!);
    const root = Math.sqrt(left[pivot]!);
    for (let j = 0; j < size; j++) {
      row[j] = row[j]! / root;
      left[j] = left[j]! - row[j]! ** 2;
    }
    left[pivot] = 0;
    rows.push(row);
    pivots.push(pivot);
  }
  checkVariances(where, left, largest);
  const factor = new Float64Array(rows.length * size);
  const taken = new Set(pivots);
  const order = Int32Array.from([...pivots, ...Array.from(left.keys()).filter((column) => !taken.has(column))]);
  for (const [i, row] of rows.entries()) for (let j = i; j < size; j++) factor[i * size + j] = row[order[j]!]!; // earlier pivots are explained: 0
  return { factor, order };
}

/** @throws TensorARError where one of these is below 0 by more than rounding, beside the largest */
export function checkVariances(where: string, variances: Float64Array, largest: number): void {
  const worst = variances.reduce((min, value) => Math.min(min, value), 0);
  if (worst >= -ASYMMETRY * largest) return;
  throw new TensorARError(`${where}: a covariance has a negative variance, about ${worst}; pass one of real samples`);
}

/** Symmetry, and no entry larger than the largest variance, which a semi-definite matrix cannot have. */
export function checkEntries(where: string, matrix: Float64Array, size: number, largest: number): void {
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

function subtractFour(target: Float64Array, rows: readonly Float64Array[], at: number, pivot: number): void {
  const [a, b, c, d] = [rows[at]!, rows[at + 1]!, rows[at + 2]!, rows[at + 3]!];
  const [p, q, r, s] = [a[pivot]!, b[pivot]!, c[pivot]!, d[pivot]!];
  for (let i = 0; i < target.length; i++) target[i] = target[i]! - (p * a[i]! + q * b[i]! + r * c[i]! + s * d[i]!);
}

function subtractScaled(target: Float64Array, source: Float64Array, scale: number): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! - scale * source[i]!;
}
