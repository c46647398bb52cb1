import { TensorARError } from "@tensorar/core";
import { expectFinite, expectInteger, expectLength } from "./checks";
import { tridiagonalise } from "./tridiagonal";

// QL takes 1 to 2 an eigenvalue, but dozens for the first where many are far below the roundings of the largest.
const SWEEPS = 30;
// Couplings of this size, in a matrix of size 1, move eigenvalues by less than its reduction to tridiagonal form did.
const NOISE = Number.EPSILON / 8;

/**
 * Eigenvalues of a symmetric matrix, ascending, with an absolute error of a few float64 roundings of the largest one.
 * Householder tridiagonalisation, then QL with implicit shifts; 4/3 · size³ operations, 8 · size² bytes of WebAssembly
 * memory. Source: Wilkinson & Reinsch 1971, Handbook for Automatic Computation II, `imtql1`, and `tridiagonalise`'s.
 *
 * @param matrix `[size, size]`; only its lower triangle is read, and it stays as it is
 * @throws TensorARError where the length is not size², or at NaN and infinity
 */
export function symmetricEigenvalues(matrix: Float32Array | Float64Array, size: number): Float64Array {
  expectInteger("symmetricEigenvalues", "size", size, 1, 16384);
  expectLength("symmetricEigenvalues", "matrix", matrix.length, { size, columns: size });
  expectFinite("symmetricEigenvalues", "matrix", matrix, size);
  const { diagonal, below } = tridiagonalise("symmetricEigenvalues", matrix, size);
  implicitQl(diagonal, below);
  return diagonal.sort();
}

/** Turns `diagonal` into the eigenvalues, in no order; `below` is used up. */
function implicitQl(diagonal: Float64Array, below: Float64Array): void {
  const n = diagonal.length;
  const scale = scaleToOne(diagonal, below);
  const uncoupled = (m: number) => {
    const neighbours = Math.abs(diagonal[m]!) + Math.abs(diagonal[m + 1]!);
    return Math.abs(below[m]!) <= Math.max(NOISE, Number.EPSILON * neighbours);
  };
  let sweeps = SWEEPS * n;
  for (let first = 0; first < n; first++) {
    for (;;) {
      let last = first;
      while (last < n - 1 && !uncoupled(last)) last++;
      if (last === first) break;
      if (sweeps-- === 0) {
        throw new TensorARError(
          `symmetricEigenvalues: no convergence after ${SWEEPS * n} sweeps at eigenvalue ${first} of ${n}; report the matrix`,
        );
      }
      qlSweep(diagonal, below, first, last);
    }
  }
  for (let i = 0; i < n; i++) diagonal[i] = diagonal[i]! * scale;
}

/** Divides by the power of two that makes the largest entry about 1, and returns it: squares stay in range then. */
function scaleToOne(diagonal: Float64Array, below: Float64Array): number {
  const largest = (values: Float64Array) => values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const norm = Math.max(largest(diagonal), largest(below));
  const scale = 2 ** Math.max(-1000, Math.floor(Math.log2(norm)));
  for (const values of [diagonal, below]) for (let i = 0; i < values.length; i++) values[i] = values[i]! / scale;
  return scale;
}

/** √(f² + g²) of numbers up to about 1; `Math.hypot` is exact where squares vanish, but ten times as slow. */
function length(f: number, g: number): number {
  const square = f * f + g * g;
  return square > 1e-280 ? Math.sqrt(square) : Math.hypot(f, g);
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
    const r = length(f, g);
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
