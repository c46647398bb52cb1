import { TensorARError } from "@tensorar/core";
import { createWorkspace, type Kernels, type Span } from "./kernels";
import { packRows } from "./matrix";

// A covariance that was rounded to float32 on its way is still accepted.
const ASYMMETRY = 1e-6;
// Rows taken before the rest of the matrix is updated.
const PANEL = 64;
// A block of the update, and of the packed columns it needs, stays in the second-level cache.
const ROWS = 64;
const COLUMNS = 256;

export interface PivotedFactor {
  /** `Lᵀ` `[rank, size]`, upper trapezoidal, with its columns in the order of the pivots. */
  readonly factor: Float64Array;
  /** Which column of the matrix each column of the factor is, `[size]`. */
  readonly order: Int32Array;
}

/** The matrix on its way to the factor, in a memory of its own, with rows and columns in the order of the pivots. */
interface Work {
  readonly size: number;
  readonly kernels: Kernels;
  /** `[size, size]`: rows of the factor, then what of the matrix they leave, on and above the diagonal. */
  readonly matrix: Span;
  /** Variances not yet explained, `[size]`; 0 where a pivot was taken. */
  readonly left: Float64Array;
  readonly order: Int32Array;
  readonly weights: Span;
  readonly packed: Span;
}

/**
 * `Lᵀ` `[rank, size]` with `Σ = L Lᵀ`, for a positive semi-definite `Σ` `[size, size]` of any rank. The largest
 * remaining variance is taken at every step, and what is left at the end is rounding. The rest of the matrix is updated
 * after a panel of rows, as a product of matrices. Memory: 8 · size² bytes, of which the factor is a view.
 * Source: Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix"; the same stopping rule. In
 * panels: Hammarling, Higham & Lucas 2007, "LAPACK-style codes for pivoted Cholesky and QR updating".
 *
 * @throws TensorARError where the matrix is not symmetric, or not semi-definite by more than rounding
 */
export function pivotedCholesky(where: string, matrix: Float64Array, size: number): PivotedFactor {
  const variances = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  const largest = variances.reduce((max, value) => Math.max(max, value), 0);
  checkEntries(where, matrix, size, largest);
  const work = open(where, matrix, variances);
  const stop = size * Number.EPSILON * largest;
  let rank = 0;
  for (let panel = 0, full = true; full && panel < size; panel = rank) {
    const end = Math.min(panel + PANEL, size);
    for (; rank < end; rank++) {
      const pivot = indexOfLargest(work.left, rank);
      full = work.left[pivot]! > stop;
      if (!full) break;
      exchange(work, rank, pivot);
      takeRow(work, rank, panel);
    }
    if (full) updateRest(work, panel, end);
  }
  checkVariances(where, work.left, largest);
  const factor = work.matrix.values.subarray(0, rank * size);
  for (let i = 1; i < rank; i++) factor.fill(0, i * size, i * size + i); // what was there is done with
  return { factor, order: work.order };
}

function open(where: string, source: Float64Array, left: Float64Array): Work {
  const size = left.length;
  const entries = (size + 3) * size + 4; // tiles of 4 × 4 reach beyond the last row
  const { kernels, take } = createWorkspace(where, entries + PANEL * (size + 4));
  const matrix = take(entries);
  matrix.values.set(source);
  const order = Int32Array.from({ length: size }, (_, i) => i);
  return { size, kernels, matrix, left, order, weights: take(PANEL), packed: take(PANEL * (size + 3)) };
}

/** Exchanges two rows and the same columns, `first` before `second`: of the symmetric rest, and of the factor's rows. */
function exchange({ size, matrix: { values }, left, order }: Work, first: number, second: number): void {
  if (first === second) return;
  const swap = (list: Float64Array | Int32Array, i: number, j: number) => {
    const value = list[i]!;
    list[i] = list[j]!;
    list[j] = value;
  };
  swap(left, first, second);
  swap(order, first, second);
  for (let k = 0; k < first; k++) swap(values, k * size + first, k * size + second);
  for (let k = first + 1; k < second; k++) swap(values, first * size + k, k * size + second);
  for (let k = second + 1; k < size; k++) swap(values, first * size + k, second * size + k);
  swap(values, first * size + first, second * size + second);
}

/** Makes row `at` one of the factor, and takes what it explains from the variances; `panel` is the panel's first row. */
function takeRow({ size, kernels, matrix, left, weights }: Work, at: number, panel: number): void {
  const { values } = matrix;
  const address = (row: number) => matrix.at + 8 * (row * size + at);
  for (let k = panel; k < at; k++) weights.values[k - panel] = values[k * size + at]!;
  kernels.subtractCombination(address(at), address(panel), size, at - panel, weights.at, size - at);
  const root = Math.sqrt(left[at]!);
  for (let j = at; j < size; j++) {
    const value = values[at * size + j]! / root;
    values[at * size + j] = value;
    left[j] = left[j]! - value ** 2;
  }
  left[at] = 0;
}

/** Takes what the rows `panel … end` explain from the rows after them, on and above the diagonal. */
function updateRest({ size, kernels, matrix, packed }: Work, panel: number, end: number): void {
  const steps = end - panel;
  const rest = size - end;
  const operand = { data: matrix.values, rows: size, rowStep: 1, depthStep: size }; // its columns
  packRows(packed.values, operand, { row: end, rows: rest, from: panel, steps });
  for (let from = 0; from < rest; from += COLUMNS) {
    const to = Math.min(from + COLUMNS, rest);
    for (let row = 0; row < to; row += ROWS) {
      const rows = Math.min(ROWS, rest - row);
      const column = Math.max(from, row);
      const block = matrix.at + 8 * ((end + row) * size + end + column);
      const [i, j] = [packed.at + 8 * row * steps, packed.at + 8 * column * steps];
      kernels.addProducts(block, size, i, j, steps, rows, to - column, -1);
    }
  }
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

function indexOfLargest(values: Float64Array, from: number): number {
  let best = from;
  for (let i = from + 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
