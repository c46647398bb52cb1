import { createWorkspace, type Kernels, type Span } from "./kernels";
import { packRows } from "./matrix";

export interface Tridiagonal {
  /** `[n]` */
  readonly diagonal: Float64Array;
  /** `[n]`: entry i couples i and i + 1; the last is 0 */
  readonly below: Float64Array;
}

// Rows reflected before the rest of the matrix is updated. More of them read more of the reflections again, at every row.
const PANEL = 32;
// A block of the update, and of the packed columns it needs, stays in the second-level cache.
const ROWS = 64;
const COLUMNS = 256;

/** The matrix and what is known of a panel, in one memory. */
interface Work {
  readonly size: number;
  readonly kernels: Kernels;
  /** `[size, size]`, of which the lower triangle counts. */
  readonly matrix: Span;
  /** `[PANEL, size]`: the vector u of each reflection `1 - u uᵀ/h`. */
  readonly u: Span;
  /** `[PANEL, size]`: what each reflection takes from the matrix is `u wᵀ + w uᵀ`. */
  readonly w: Span;
  readonly weightsU: Span;
  readonly weightsW: Span;
  /** Packed columns of u and w. */
  readonly packedU: Span;
  readonly packedW: Span;
}

/**
 * Tridiagonal form of a symmetric matrix, whose eigenvalues it keeps; only the lower triangle is read. Rows are reflected
 * from the last one up, a panel of them before what is left of the matrix is updated: half of the operations are then
 * products of matrices. Memory: 8 · size² bytes, released with the call.
 * Source: Dongarra, Hammarling & Sorensen 1989, "Block reduction of matrices to condensed forms for eigenvalue
 * computations"; the reflections are `tred1`'s (Wilkinson & Reinsch 1971).
 */
export function tridiagonalise(where: string, matrix: Float32Array | Float64Array, size: number): Tridiagonal {
  const work = open(where, matrix, size);
  const diagonal = new Float64Array(size);
  const below = new Float64Array(size);
  let end = size;
  while (end > 1) {
    const rows = Math.min(PANEL, end - 1);
    for (let done = 0; done < rows; done++) {
      const i = end - 1 - done;
      takeEarlier(work, i, done);
      diagonal[i] = work.matrix.values[i * size + i]!;
      below[i - 1] = reflectRow(work, i, done);
    }
    end -= rows;
    updateRest(work, end, rows);
  }
  diagonal[0] = work.matrix.values[0]!;
  return { diagonal, below };
}

function open(where: string, source: Float32Array | Float64Array, size: number): Work {
  const entries = (size + 3) * size + 4; // tiles of 4 × 4 reach beyond the last row
  const packed = (size + 3) * PANEL;
  const { kernels, take } = createWorkspace(where, entries + 2 * PANEL * (size + 1) + 2 * packed);
  const matrix = take(entries);
  matrix.values.set(source);
  const [u, w] = [take(PANEL * size), take(PANEL * size)];
  const [weightsU, weightsW] = [take(PANEL), take(PANEL)];
  return { size, kernels, matrix, u, w, weightsU, weightsW, packedU: take(packed), packedW: take(packed) };
}

/** Applies the panel's first `done` reflections to row `i`. */
function takeEarlier({ size, kernels, matrix, u, w, weightsU, weightsW }: Work, i: number, done: number): void {
  for (let k = 0; k < done; k++) {
    weightsU.values[k] = u.values[k * size + i]!;
    weightsW.values[k] = w.values[k * size + i]!;
  }
  const row = matrix.at + 8 * i * size;
  kernels.subtractCombination(row, u.at, size, done, weightsW.at, i + 1);
  kernels.subtractCombination(row, w.at, size, done, weightsU.at, i + 1);
}

/**
 * Finds the reflection that leaves of row `i` only its last entry before the diagonal, as the panel's number `done`.
 *
 * @returns that entry
 */
function reflectRow(work: Work, i: number, done: number): number {
  const { size } = work;
  const row = work.matrix.values.subarray(i * size, i * size + i);
  const u = work.u.values.subarray(done * size, done * size + i);
  const w = work.w.values.subarray(done * size, done * size + i);
  const last = row[i - 1]!;
  let scale = 0;
  for (let j = 0; j < i - 1; j++) scale = Math.max(scale, Math.abs(row[j]!));
  if (scale === 0) {
    u.fill(0);
    w.fill(0);
    return last; // already in form
  }
  scale = Math.max(scale, Math.abs(last));
  let norm = 0;
  for (let j = 0; j < i; j++) {
    u[j] = row[j]! / scale; // no square under- or overflows
    norm += u[j]! ** 2;
  }
  const reflected = last >= 0 ? -Math.sqrt(norm) : Math.sqrt(norm); // the sign that cancels nothing
  const h = norm - u[i - 1]! * reflected; // |u|² / 2
  u[i - 1] = u[i - 1]! - reflected;
  productWith(work, i, done);
  let along = 0;
  for (let j = 0; j < i; j++) {
    w[j] = w[j]! / h;
    along += w[j]! * u[j]!;
  }
  const half = along / (2 * h);
  for (let j = 0; j < i; j++) w[j] = w[j]! - half * u[j]!;
  return scale * reflected;
}

/** `w = A u` for the panel's number `done`, where A is what its earlier reflections make of the leading `i` rows. */
function productWith({ size, kernels, matrix, u, w, weightsU, weightsW }: Work, i: number, done: number): void {
  const [vector, product] = [u.at + 8 * done * size, w.at + 8 * done * size];
  kernels.symmetricProduct(product, matrix.at, size, vector, i);
  kernels.rowProducts(weightsU.at, u.at, size, done, vector, i);
  kernels.rowProducts(weightsW.at, w.at, size, done, vector, i);
  kernels.subtractCombination(product, u.at, size, done, weightsW.at, i);
  kernels.subtractCombination(product, w.at, size, done, weightsU.at, i);
}

/** `A -= u wᵀ + w uᵀ` over the leading `end` rows, for all reflections of a panel; lower triangle only. */
function updateRest({ size, kernels, matrix, u, w, packedU, packedW }: Work, end: number, reflections: number): void {
  const columnsOf = { row: 0, rows: end, from: 0, steps: reflections };
  packRows(packedU.values, { data: u.values, rows: end, rowStep: 1, depthStep: size }, columnsOf);
  packRows(packedW.values, { data: w.values, rows: end, rowStep: 1, depthStep: size }, columnsOf);
  for (let column = 0; column < end; column += COLUMNS) {
    for (let row = column; row < end; row += ROWS) {
      const rows = Math.min(ROWS, end - row);
      const columns = Math.min(COLUMNS, row + rows - column);
      const block = matrix.at + 8 * (row * size + column);
      const [i, j] = [8 * row * reflections, 8 * column * reflections];
      kernels.addProducts(block, size, packedU.at + i, packedW.at + j, reflections, rows, columns, -1);
      kernels.addProducts(block, size, packedW.at + i, packedU.at + j, reflections, rows, columns, -1);
    }
  }
}
