import { expectFinite, expectInteger, expectLength } from "./checks";
import { TensorARError } from "./errors";

const MAX_SWEEPS = 60; // QL takes 1 to 2 an eigenvalue

/**
 * Eigenvalues of a symmetric matrix, ascending, with an absolute error of a few float64 roundings of the largest one.
 * Householder tridiagonalisation, then QL with implicit shifts; 4/3 · size³ operations, 8 · size² bytes.
 * Source: Wilkinson & Reinsch 1971, Handbook for Automatic Computation II, `tred1` and `imtql1`.
 *
 * @param matrix `[size, size]`; only its lower triangle is read, and it stays as it is
 * @throws TensorARError where the length is not size², or at NaN and infinity
 */
export function symmetricEigenvalues(matrix: Float32Array | Float64Array, size: number): Float64Array {
  expectInteger("symmetricEigenvalues", "size", size, 1, 16384);
  expectLength("symmetricEigenvalues", "matrix", matrix.length, { size, columns: size });
  expectFinite("symmetricEigenvalues", "matrix", matrix, size);
  const { diagonal, below } = tridiagonalise(Float64Array.from(matrix), size);
  implicitQl(diagonal, below);
  return diagonal.sort();
}

interface Tridiagonal {
  readonly diagonal: Float64Array; // [n]
  /** `[n]`: entry i couples i and i + 1; the last is 0 */
  readonly below: Float64Array;
}

/** Reflects row after row, from the last one up, to tridiagonal form. Overwrites `a` `[n, n]`. */
function tridiagonalise(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const below = new Float64Array(n);
  const product = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    diagonal[i] = a[i * n + i]!;
    if (i === 0) break;
    const u = a.subarray(i * n, i * n + i); // [i], becomes the Householder vector
    let scale = 0;
    for (let j = 0; j < i - 1; j++) scale = Math.max(scale, Math.abs(u[j]!));
    if (scale === 0) {
      below[i - 1] = u[i - 1]!; // already in form
      continue;
    }
    scale = Math.max(scale, Math.abs(u[i - 1]!));
    let norm = 0;
    for (let j = 0; j < i; j++) {
      u[j] = u[j]! / scale; // no square under- or overflows
      norm += u[j]! ** 2;
    }
    const last = u[i - 1]!;
    const reflected = last >= 0 ? -Math.sqrt(norm) : Math.sqrt(norm); // the sign that cancels nothing
    below[i - 1] = scale * reflected;
    u[i - 1] = last - reflected;
    reflect(a, n, u, norm - last * reflected, product);
  }
  return { diagonal, below };
}

/** `A ← (1 - u uᵀ/h) A (1 - u uᵀ/h)` on the leading block of `u`'s size, lower triangle only; `h = |u|² / 2`. */
function reflect(a: Float64Array, n: number, u: Float64Array, h: number, product: Float64Array): void {
  const size = u.length;
  product.fill(0, 0, size);
  for (let j = 0; j < size; j++) {
    const [row, uj] = [j * n, u[j]!];
    let sum = a[row + j]! * uj;
    for (let t = 0; t < j; t++) {
      const value = a[row + t]!;
      sum += value * u[t]!;
      product[t] = product[t]! + value * uj; // the same entry, above the diagonal
    }
    product[j] = product[j]! + sum;
  }
  let along = 0;
  for (let j = 0; j < size; j++) {
    product[j] = product[j]! / h;
    along += product[j]! * u[j]!;
  }
  const half = along / (2 * h);
  for (let j = 0; j < size; j++) product[j] = product[j]! - half * u[j]!;
  for (let j = 0; j < size; j++) {
    const [row, uj, pj] = [j * n, u[j]!, product[j]!];
    for (let t = 0; t <= j; t++) a[row + t] = a[row + t]! - (uj * product[t]! + pj * u[t]!);
  }
}

/** Turns `diagonal` into the eigenvalues, in no order; `below` is used up. */
function implicitQl(diagonal: Float64Array, below: Float64Array): void {
  const n = diagonal.length;
  let norm = 0;
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(diagonal[i]!), Math.abs(below[i]!));
  const tiny = Number.EPSILON ** 2 * norm; // between two zeros no coupling is small beside its neighbours
  const uncoupled = (m: number) => {
    const neighbours = Math.abs(diagonal[m]!) + Math.abs(diagonal[m + 1]!);
    return Math.abs(below[m]!) <= Math.max(tiny, Number.EPSILON * neighbours);
  };
  for (let first = 0; first < n; first++) {
    for (let sweep = 0; ; sweep++) {
      let last = first;
      while (last < n - 1 && !uncoupled(last)) last++;
      if (last === first) break;
      if (sweep === MAX_SWEEPS) {
        throw new TensorARError(
          `symmetricEigenvalues: no convergence after ${MAX_SWEEPS} sweeps at eigenvalue ${first}; rescale the matrix`,
        );
      }
      qlSweep(diagonal, below, first, last);
    }
  }
}

/** One QL sweep with Wilkinson's shift over the unreduced block `first … last`. */
function qlSweep(diagonal: Float64Array, below: Float64Array, first: number, last: number): void {
  const slope = (diagonal[first + 1]! - diagonal[first]!) / (2 * below[first]!);
  const root = Math.hypot(slope, 1);
  let g = diagonal[last]! - diagonal[first]! + below[first]! / (slope + (slope >= 0 ? root : -root));
  let [sine, cosine, shift] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const f = sine * below[i]!;
    const b = cosine * below[i]!;
    const r = Math.hypot(f, g);
    below[i + 1] = r;
    if (r === 0) {
      // The block falls apart here; the next sweep sees the two parts.
      diagonal[i + 1] = diagonal[i + 1]! - shift;
      below[last] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = diagonal[i + 1]! - shift;
    const t = (diagonal[i]! - g) * sine + 2 * cosine * b;
    shift = sine * t;
    diagonal[i + 1] = g + shift;
    g = cosine * t - b;
  }
  diagonal[first] = diagonal[first]! - shift;
  below[first] = g;
  below[last] = 0;
}
