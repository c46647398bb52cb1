// Blocks of this many rows stay in the second-level cache at the widths of image features (2048 float64 = 16 KiB a row).
const BLOCK = 32;

/**
 * `out += a · bᵀ` for row-major `a` `[rowsA, length]`, `b` `[rowsB, length]`, `out` `[rowsA, rowsB]`.
 * With `lower` only entries on and below the diagonal are computed.
 */
export function addRowProducts(
  out: Float64Array,
  a: Float64Array,
  b: Float64Array,
  { rowsA, rowsB, length, lower }: { rowsA: number; rowsB: number; length: number; lower: boolean },
): void {
  for (let block = 0; block < rowsB; block += BLOCK) {
    for (let i = lower ? block : 0; i < rowsA; i++) {
      const end = Math.min(block + BLOCK, lower ? i + 1 : rowsB, rowsB);
      let j = block;
      // Four rows at a time: each value of `a` is loaded once for four products.
      for (; j + 4 <= end; j += 4) addFourDots(out, i * rowsB + j, a, i * length, b, j * length, length);
      for (; j < end; j++) out[i * rowsB + j] = out[i * rowsB + j]! + dot(a, i * length, b, j * length, length);
    }
  }
}

/** `a · bᵀ` as a new matrix; see {@link addRowProducts}. */
export function rowProducts(a: Float64Array, b: Float64Array, length: number): Float64Array {
  const [rowsA, rowsB] = [a.length / length, b.length / length];
  const out = new Float64Array(rowsA * rowsB);
  addRowProducts(out, a, b, { rowsA, rowsB, length, lower: false });
  return out;
}

/** Copies the lower triangle of a `[size, size]` matrix to the upper one, in place. */
export function mirrorLower(matrix: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[j * size + i] = matrix[i * size + j]!;
}

function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, length: number): number {
  let sum = 0;
  for (let t = 0; t < length; t++) sum += a[atA + t]! * b[atB + t]!;
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
): void {
  const [at1, at2, at3] = [atB + length, atB + 2 * length, atB + 3 * length];
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  for (let t = 0; t < length; t++) {
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
