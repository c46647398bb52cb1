// Blocks of this many rows stay in the second-level cache at the widths of image features (2048 float64 = 16 KiB a row).
const BLOCK = 32;

/**
 * `out += a · bᵀ` for row-major `a` `[rowsA, length]`, `b` `[rowsB, length]`, `out` `[rowsA, rowsB]`.
 * With `lower` only entries on and below the diagonal are computed. Columns before `from` are left out: they are 0 in one.
 */
export function addRowProducts(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  {
    rowsA,
    rowsB,
    length,
    lower,
    from = 0,
  }: { rowsA: number; rowsB: number; length: number; lower: boolean; from?: number },
): void {
  for (let block = 0; block < rowsB; block += BLOCK) {
    for (let i = lower ? block : 0; i < rowsA; i++) {
      const end = Math.min(block + BLOCK, lower ? i + 1 : rowsB, rowsB);
      let j = block;
      // Four rows at a time: each value of `a` is loaded once for four products.
      for (; j + 4 <= end; j += 4) addFourDots(out, i * rowsB + j, a, i * length, b, j * length, length, from);
      for (; j < end; j++) out[i * rowsB + j] = out[i * rowsB + j]! + dot(a, i * length, b, j * length, length, from);
    }
  }
}

/** `u · bᵀ` as a new matrix, for an upper trapezoidal `u` `[rank, size]` and `b` `[size, size]`. */
export function trapezoidProducts(u: Float64Array, b: Float64Array, size: number): Float64Array {
  const rank = u.length / size;
  const out = new Float64Array(rank * size);
  for (let from = 0; from < rank; from += BLOCK) {
    const rowsA = Math.min(BLOCK, rank - from);
    const block = u.subarray(from * size, (from + rowsA) * size);
    addRowProducts(out.subarray(from * size), block, b, { rowsA, rowsB: size, length: size, lower: false, from });
  }
  return out;
}

/** The lower triangle of `a · uᵀ` as a new matrix, for `a` `[rank, size]` and an upper trapezoidal `u` `[rank, size]`. */
export function lowerProducts(a: Float64Array, u: Float64Array, size: number): Float64Array {
  const rank = u.length / size;
  const out = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i += BLOCK) {
    const rowsA = Math.min(BLOCK, rank - i);
    for (let from = 0; from <= i; from += BLOCK) {
      const rowsB = Math.min(BLOCK, rank - from);
      const tile = new Float64Array(rowsA * rowsB);
      const [rows, columns] = [
        a.subarray(i * size, (i + rowsA) * size),
        u.subarray(from * size, (from + rowsB) * size),
      ];
      addRowProducts(tile, rows, columns, { rowsA, rowsB, length: size, lower: false, from });
      for (let row = 0; row < rowsA; row++)
        out.set(tile.subarray(row * rowsB, (row + 1) * rowsB), (i + row) * rank + from);
    }
  }
  return out;
}

/** Copies the lower triangle of a `[size, size]` matrix to the upper one, in place. */
export function mirrorLower(matrix: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[j * size + i] = matrix[i * size + j]!;
}

function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, length: number, from: number): number {
  let sum = 0;
  for (let t = from; t < length; t++) sum += a[atA + t]! * b[atB + t]!;
  return sum;
}

function addFourDots(
  out: Float64Array,
  at: number,
  a: Float64Array,
  atA: number,
  b: Float64Array,
  atB: number,
  length: number,
  from: number,
): void {
  const [at1, at2, at3] = [atB + length, atB + 2 * length, atB + 3 * length];
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  for (let t = from; t < length; t++) {
    const value = a[atA + t]!;
    sum0 += value * b[atB + t]!;
    sum1 += value * b[at1 + t]!;
    sum2 += value * b[at2 + t]!;
    sum3 += value * b[at3 + t]!;
  }
  out[at] = out[at]! + sum0;
  out[at + 1] = out[at + 1]! + sum1;
  out[at + 2] = out[at + 2]! + sum2;
  out[at + 3] = out[at + 3]! + sum3;
}
