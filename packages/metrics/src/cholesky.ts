import { TensorARError } from "@tensorar/core";
import { createWorkspace, type Kernels, type Span } from "./kernels";
import { packRows } from "./matrix";

// What rounding makes of a covariance, beside its largest variance. Sums in float32 leave 1e-6 in products of matrices, and
// 3e-5 where 100,000 rows are added one by one.
const ROUNDING = 1e-4;
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
 * remaining variance is taken at every step. The rest of the matrix is updated after a panel of rows, as a product of
 * matrices. Memory: 8 · size² bytes, of which the factor is a view.
 *
 * Rounding of the input, such as float32, leaves a singular matrix slightly indefinite. It shows in what is left: once
 * variances below 0 are as large as the largest above it, all of them are rounding, and are left out of the factor. So the
 * matrix itself says how exact it is: directions of 1e-10 count where it is exact to 1e-16, and not where it is to 1e-7.
 *
 * Source: Higham 1990, "Analysis of the Cholesky decomposition of a semi-definite matrix", with its bound of float64
 * rounding. In panels: Hammarling, Higham & Lucas 2007, "LAPACK-style codes for pivoted Cholesky and QR updating".
 *
 * @throws TensorARError where the matrix is not symmetric or not semi-definite, by more than 1e-4 of its largest variance
 */
export function pivotedCholesky(where: string, matrix: Float64Array, size: number): PivotedFactor {
  const variances = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  const largest = variances.reduce((max, value) => Math.max(max, value), 0);
  checkEntries(where, matrix, size, largest);
  const work = open(where, matrix, variances);
  const least = size * Number.EPSILON * largest;
  let rank = 0;
  for (let panel = 0, full = true; full && panel < size; panel = rank) {
    const end = Math.min(panel + PANEL, size);
    for (; rank < end; rank++) {
      const pivot = indexOfLargest(work.left, rank);
      full = work.left[pivot]! > Math.max(least, -smallest(work.left));
      if (!full) break;
      exchange(work, rank, pivot);
      full = takeRow(work, rank, panel);
      if (!full) break;
    }
    updateRest(work, panel, rank);
  }
  checkRest(where, work, rank, largest);
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

/**
 * Makes row `at` one of the factor, and takes what it explains from the variances; `panel` is the panel's first row.
 *
 * @returns whether it did: where it would explain more than there is, by more than its own variance, this is rounding
 */
function takeRow({ size, kernels, matrix, left, weights }: Work, at: number, panel: number): boolean {
  const { values } = matrix;
  const address = (row: number) => matrix.at + 8 * (row * size + at);
  const subtractPanel = (scale: number) => {
    for (let k = panel; k < at; k++) weights.values[k - panel] = scale * values[k * size + at]!;
    kernels.subtractCombination(address(at), address(panel), size, at - panel, weights.at, size - at);
  };
  subtractPanel(1);
  const variance = left[at]!;
  const remainder = (j: number) => left[j]! - values[at * size + j]! ** 2 / variance;
  for (let j = at + 1; j < size; j++) {
    if (remainder(j) >= -variance) continue;
    subtractPanel(-1); // like the rows after it
    return false;
  }
  const root = Math.sqrt(variance);
  for (let j = at + 1; j < size; j++) left[j] = remainder(j);
  for (let j = at; j < size; j++) values[at * size + j] = values[at * size + j]! / root;
  left[at] = 0;
  return true;
}

/** Takes what the rows `panel … end` explain from the rows after them, on and above the diagonal. */
function updateRest({ size, kernels, matrix, packed }: Work, panel: number, end: number): void {
  const steps = end - panel;
  const rest = size - end;
  if (steps === 0 || rest === 0) return;
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

/** @throws TensorARError where what no row of the factor explains is not rounding */
function checkRest(where: string, { size, matrix: { values }, left }: Work, rank: number, largest: number): void {
  if (largest === 0) return; // all entries are 0, as checked before
  let worst = 0;
  for (let i = rank; i < size; i++) {
    worst = Math.min(worst, left[i]!);
    for (let j = i + 1; j < size; j++) {
      const mean = (left[i]! + left[j]!) / 2;
      // Relative to the largest, so that no square overflows; Math.hypot takes 20 times as long.
      const half = (left[i]! - left[j]!) / 2 / largest;
      const covariance = values[i * size + j]! / largest;
      // The smaller eigenvalue of these two.
      worst = Math.min(worst, mean - largest * Math.sqrt(half * half + covariance * covariance));
    }
  }
  if (worst >= -ROUNDING * largest) return;
  const remedy = "pass one of real samples, in float32 or better";
  throw new TensorARError(`${where}: a covariance has a negative variance, about ${worst.toPrecision(3)}; ${remedy}`);
}

/** Symmetry, and no entry larger than the largest variance, which a semi-definite matrix cannot have. */
function checkEntries(where: string, matrix: Float64Array, size: number, largest: number): void {
  const slack = ROUNDING * largest;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const [value, mirrored] = [matrix[i * size + j]!, matrix[j * size + i]!];
      if (Math.abs(value - mirrored) <= slack && Math.abs(value) <= largest + slack) continue;
      const entries = `entries [${i}, ${j}] = ${value} and [${j}, ${i}] = ${mirrored}`;
      throw new TensorARError(`${where}: ${entries} are not of a covariance; pass a symmetric, semi-definite matrix`);
    }
  }
}

const smallest = (values: Float64Array): number => values.reduce((min, value) => Math.min(min, value), 0);

function indexOfLargest(values: Float64Array, from: number): number {
  let best = from;
  for (let i = from + 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
