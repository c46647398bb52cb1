// Loops over float64 numbers in linear memory, two at a time. AssemblyScript: the README says how it is compiled.
// Addresses are in bytes, strides and lengths in numbers.
//
// No inner loop is unrolled: V8 then keeps all sums in its sixteen registers, and is half as fast again as with two steps.

/**
 * `out[i, j] += scale · Σ a[i, t] b[j, t]` for `t < depth`. Both operands are packed, `[rows / 4][depth][4]`; rows and
 * columns are rounded up to fours, so `out` is written that far.
 * A tile of 4 × 4 sums stays in registers, as in Goto & van de Geijn 2008, "Anatomy of high-performance matrix
 * multiplication".
 */
export function addProducts(
  out: usize,
  stride: i32,
  a: usize,
  b: usize,
  depth: i32,
  rows: i32,
  columns: i32,
  scale: f64,
): void {
  const outRow = (<usize>stride) << 3;
  const quad = (<usize>depth) << 5;
  const factor = f64x2.splat(scale);
  for (let i = 0; i < rows; i += 4) {
    let tile = out;
    let y = b;
    for (let j = 0; j < columns; j += 4) {
      addTile(tile, outRow, a, y, quad, factor);
      tile += 32;
      y += quad;
    }
    out += outRow << 2;
    a += quad;
  }
}

function addTile(out: usize, outRow: usize, a: usize, b: usize, quad: usize, factor: v128): void {
  let s00 = f64x2.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (const end = b + quad; b < end; b += 32) {
    const x = v128.load(b);
    const y = v128.load(b, 16);
    let value = v128.load64_splat(a);
    s00 = f64x2.add(s00, f64x2.mul(value, x));
    s01 = f64x2.add(s01, f64x2.mul(value, y));
    value = v128.load64_splat(a, 8);
    s10 = f64x2.add(s10, f64x2.mul(value, x));
    s11 = f64x2.add(s11, f64x2.mul(value, y));
    value = v128.load64_splat(a, 16);
    s20 = f64x2.add(s20, f64x2.mul(value, x));
    s21 = f64x2.add(s21, f64x2.mul(value, y));
    value = v128.load64_splat(a, 24);
    s30 = f64x2.add(s30, f64x2.mul(value, x));
    s31 = f64x2.add(s31, f64x2.mul(value, y));
    a += 32;
  }
  addFour(out, s00, s01, factor);
  addFour(out + outRow, s10, s11, factor);
  addFour(out + 2 * outRow, s20, s21, factor);
  addFour(out + 3 * outRow, s30, s31, factor);
}

function addFour(out: usize, x: v128, y: v128, factor: v128): void {
  v128.store(out, f64x2.add(v128.load(out), f64x2.mul(factor, x)));
  v128.store(out, f64x2.add(v128.load(out, 16), f64x2.mul(factor, y)), 16);
}

/**
 * `out = A · vector` for a symmetric `A` `[size, size]`, of which only the lower triangle is read: once, each entry for its
 * own place and for the mirrored one.
 */
export function symmetricProduct(out: usize, matrix: usize, stride: i32, vector: usize, size: i32): void {
  memory.fill(out, 0, (<usize>size) << 3);
  const row = (<usize>stride) << 3;
  let j = 0;
  for (; j + 4 <= size; j += 4) {
    addFourRows(out, matrix + <usize>j * row, row, vector, (<usize>j) << 3);
    for (let i = j; i < j + 4; i++) addRow(out, matrix + <usize>i * row, vector, j, i);
  }
  for (; j < size; j++) addRow(out, matrix + <usize>j * row, vector, 0, j);
}

/** Four rows of a symmetric matrix up to the column at `end` bytes, an even one, and the same entries mirrored. */
function addFourRows(out: usize, a0: usize, row: usize, vector: usize, end: usize): void {
  const a1 = a0 + row;
  const a2 = a1 + row;
  const a3 = a2 + row;
  const v0 = v128.load64_splat(vector + end);
  const v1 = v128.load64_splat(vector + end, 8);
  const v2 = v128.load64_splat(vector + end, 16);
  const v3 = v128.load64_splat(vector + end, 24);
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let t: usize = 0; t < end; t += 16) {
    const v = v128.load(vector + t);
    let sum = v128.load(out + t);
    let value = v128.load(a0 + t);
    s0 = f64x2.add(s0, f64x2.mul(value, v));
    sum = f64x2.add(sum, f64x2.mul(value, v0));
    value = v128.load(a1 + t);
    s1 = f64x2.add(s1, f64x2.mul(value, v));
    sum = f64x2.add(sum, f64x2.mul(value, v1));
    value = v128.load(a2 + t);
    s2 = f64x2.add(s2, f64x2.mul(value, v));
    sum = f64x2.add(sum, f64x2.mul(value, v2));
    value = v128.load(a3 + t);
    s3 = f64x2.add(s3, f64x2.mul(value, v));
    sum = f64x2.add(sum, f64x2.mul(value, v3));
    v128.store(out + t, sum);
  }
  out += end;
  f64.store(out, f64.load(out) + total(s0));
  f64.store(out, f64.load(out, 8) + total(s1), 8);
  f64.store(out, f64.load(out, 16) + total(s2), 16);
  f64.store(out, f64.load(out, 24) + total(s3), 24);
}

/** The entries `from … i` of row `i` of a symmetric matrix, of which the last is on the diagonal. */
function addRow(out: usize, matrixRow: usize, vector: usize, from: i32, i: i32): void {
  const at = (<usize>i) << 3;
  const mirrored = f64.load(vector + at);
  let sum = f64.load(matrixRow + at) * mirrored;
  for (let t = (<usize>from) << 3; t < at; t += 8) {
    const value = f64.load(matrixRow + t);
    sum += value * f64.load(vector + t);
    f64.store(out + t, f64.load(out + t) + value * mirrored);
  }
  f64.store(out + at, f64.load(out + at) + sum);
}

/** `out[k] = Σ rows[k, t] vector[t]` for `k < count`, `t < length`. */
export function rowProducts(out: usize, rows: usize, stride: i32, count: i32, vector: usize, length: i32): void {
  const row = (<usize>stride) << 3;
  const end = (<usize>(length & ~1)) << 3;
  for (let k = 0; k < count; k++) {
    let even = f64x2.splat(0);
    for (let t: usize = 0; t < end; t += 16) {
      even = f64x2.add(even, f64x2.mul(v128.load(rows + t), v128.load(vector + t)));
    }
    let sum = total(even);
    if (length & 1) sum += f64.load(rows + end) * f64.load(vector + end);
    f64.store(out, sum);
    out += 8;
    rows += row;
  }
}

/** `target[t] -= Σ weights[k] rows[k, t]` for `k < count`, `t < length`. */
export function subtractCombination(
  target: usize,
  rows: usize,
  stride: i32,
  count: i32,
  weights: usize,
  length: i32,
): void {
  const row = (<usize>stride) << 3;
  const end = (<usize>(length & ~1)) << 3;
  for (let k = 0; k < count; k++) {
    const weight = f64.load(weights);
    const both = f64x2.splat(weight);
    for (let t: usize = 0; t < end; t += 16) {
      v128.store(target + t, f64x2.sub(v128.load(target + t), f64x2.mul(both, v128.load(rows + t))));
    }
    if (length & 1) f64.store(target + end, f64.load(target + end) - weight * f64.load(rows + end));
    weights += 8;
    rows += row;
  }
}

function total(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}
