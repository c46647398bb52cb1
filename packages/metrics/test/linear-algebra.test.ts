import { expectClose } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { createMoments, frechetDistance, type Gaussian, kernelDistance, symmetricEigenvalues } from "../src";
import { pivotedCholesky } from "../src/cholesky";
import { forProducts, type Operand } from "../src/matrix";
import { wave, withSpectrum } from "./spectra";

// Matrices are made of spectra that are known, by reflections written out here; nothing is compared with our own output.

const list = (size: number, value: (i: number) => number) => Float64Array.from({ length: size }, (_, i) => value(i));
/** Around the fours of a tile, the panels of 32 and 64, the blocks of 192 and 256. */
const SIZES = [1, 2, 3, 4, 5, 7, 31, 32, 33, 34, 63, 64, 65, 66, 97, 191, 193, 257, 322];

/** Errors of the matrix and of the method both grow slower than the size, in roundings of the largest eigenvalue. */
function expectSpectrum(matrix: Float64Array | Float32Array, spectrum: Float64Array): void {
  const size = spectrum.length;
  const largest = spectrum.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const tolerance = { atol: (size + 10) * Number.EPSILON * largest, rtol: 0 };
  expectClose(`eigenvalues of size ${size}`, symmetricEigenvalues(matrix, size), spectrum.slice().sort(), tolerance);
}

describe("symmetric eigenvalues", () => {
  const spectra: Record<string, (i: number, size: number) => number> = {
    "spread over sixteen decades": (i, size) => 10 ** ((-16 * i) / size),
    "of both signs": (i) => (i % 2 === 0 ? 1 : -1) * (1 + i),
    "three, many times each": (i) => [1, 1e-3, 5][i % 3]!,
    "all but one equal": (i) => (i === 0 ? 1e8 : 1),
    "mostly zero": (i) => (i % 10 === 0 ? 3 + i : 0),
    "close together": (i) => 1 + 1e-12 * i,
    "near the largest float64": (i, size) => 1e300 * (1 + i / size),
    "near the smallest float64": (i, size) => 1e-290 * (1 + i / size),
  };
  test.each(Object.keys(spectra))("that are %s", (name) => {
    for (const size of SIZES) {
      const spectrum = list(size, (i) => spectra[name]!(i, size));
      expectSpectrum(withSpectrum(spectrum, size), spectrum);
    }
  });

  test("of a string of masses, which have a formula, in order and shuffled", () => {
    for (const size of SIZES) {
      const spectrum = list(size, (i) => 4 * Math.sin(((i + 1) * Math.PI) / (2 * (size + 1))) ** 2);
      const stride = [7, 5, 3, 2, 1].find((step) => size % step !== 0 || step === 1)!; // i → stride · i permutes
      for (const step of [1, stride]) {
        const string = new Float64Array(size * size);
        for (let i = 0; i < size; i++) {
          for (const [j, value] of [
            [i - 1, -1],
            [i, 2],
            [i + 1, -1],
          ] as const) {
            if (j >= 0 && j < size) string[((i * step) % size) * size + ((j * step) % size)] = value;
          }
        }
        expectSpectrum(string, spectrum);
      }
    }
  });

  test("of matrices with blocks of zeros", () => {
    for (const [before, inside, after] of [
      [0, 40, 60],
      [60, 40, 0],
      [33, 70, 35],
      [1, 1, 1],
    ] as const) {
      const size = before + inside + after;
      const spectrum = list(inside, (i) => 1 + i * i);
      const block = withSpectrum(spectrum, 4);
      const matrix = new Float64Array(size * size);
      for (let i = 0; i < inside; i++)
        matrix.set(block.subarray(i * inside, (i + 1) * inside), (before + i) * size + before);
      expectSpectrum(matrix, Float64Array.from([...spectrum, ...new Float64Array(before + after)]));
    }
    expectClose("zero", symmetricEigenvalues(new Float64Array(66 * 66), 66), new Float64Array(66), {
      atol: 0,
      rtol: 0,
    });
  });

  test("read only the lower triangle, in float32 too, and leave it as it was", () => {
    for (const size of [5, 66, 259]) {
      const matrix = withSpectrum(
        list(size, (i) => i),
        1,
      );
      const expected = symmetricEigenvalues(matrix, size);
      for (let i = 0; i < size; i++) matrix.fill(123.5, i * size + i + 1, (i + 1) * size);
      const before = matrix.slice();
      expect(symmetricEigenvalues(matrix, size)).toEqual(expected);
      expect(matrix).toEqual(before);
    }
    expectSpectrum(Float32Array.of(2, 99, 1, 2), Float64Array.of(1, 3));
  });
});

describe("pivoted Cholesky factor", () => {
  test.each([
    ["full rank", (i: number, size: number) => 10 ** ((-6 * i) / size)],
    ["half the rank", (i: number) => (i % 2 === 0 ? 1 + i : 0)],
    ["rank 1", (i: number) => (i === 0 ? 4 : 0)],
    ["rank 0", () => 0],
  ] as const)("gives the matrix back, %s", (_, value) => {
    for (const size of SIZES) {
      const spectrum = list(size, (i) => value(i, size));
      const matrix = withSpectrum(spectrum, size);
      const { factor, order } = pivotedCholesky("test", matrix, size);
      const rank = factor.length / Math.max(1, size);
      expect(rank).toBe(spectrum.filter((x) => x > 0).length);
      expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
      const tolerance = { atol: 4 * (size + 10) * Number.EPSILON * Math.max(...spectrum), rtol: 0 };
      for (let i = 0; i < size; i++) {
        const row = list(size, (j) => {
          let sum = 0;
          for (let k = 0; k < rank; k++) sum += factor[k * size + i]! * factor[k * size + j]!;
          return sum;
        });
        const expected = list(size, (j) => matrix[order[i]! * size + order[j]!]!);
        expectClose(`size ${size}, row ${i}`, row, expected, tolerance);
      }
      for (let k = 0; k < rank; k++) for (let j = 0; j < k; j++) expect(factor[k * size + j]).toBe(0);
    }
  });
});

describe("Fréchet distance of covariances with the same eigenvectors is that of their spectra", () => {
  const of = (spectrum: Float64Array): Gaussian => ({
    mean: new Float64Array(spectrum.length),
    covariance: withSpectrum(spectrum, 3),
  });
  test.each([
    ["well-conditioned", (i: number) => 1 + (i % 7), (i: number) => 2 + (i % 5), 1e-12],
    ["spread over ten decades", (i: number, n: number) => 10 ** ((-10 * i) / n), (i: number) => 1 + (i % 5), 1e-9],
    // A product of variances that is 0 is found to roundings of the largest, 1e-16; the root of that is 1e-8.
    ["singular, one in the other", (i: number) => (i % 3 === 0 ? 1 + i : 0), (i: number) => 1 + (i % 5), 1e-6],
    ["singular, apart", (i: number) => (i % 2 === 0 ? 1 : 0), (i: number) => (i % 2 === 0 ? 0 : 1), 1e-6],
    ["both singular", (i: number) => (i % 3 === 0 ? 0 : 1), (i: number) => (i % 4 === 0 ? 0 : 2), 1e-6],
    ["large and small", (i: number) => 1e12 * (1 + i), (i: number) => 1e-12 * (1 + i), 1e-9],
  ] as const)("%s", (_, first, second, rtol) => {
    for (const size of SIZES) {
      const [a, b] = [list(size, (i) => first(i, size)), list(size, (i) => second(i))];
      const expected = a.reduce((sum, value, i) => sum + (Math.sqrt(value) - Math.sqrt(b[i]!)) ** 2, 0);
      expectClose(`size ${size}`, [frechetDistance(of(a), of(b))], [expected], { atol: 0, rtol });
      expectClose(`size ${size}, swapped`, [frechetDistance(of(b), of(a))], [expected], { atol: 0, rtol });
    }
  });
});

test("a covariance with a direction of negative variance is refused on either side", () => {
  const identity = { mean: new Float64Array(3), covariance: withSpectrum([1, 1, 1]) };
  const indefinite = { ...identity, covariance: Float64Array.of(1, 0.9, -0.9, 0.9, 1, 0.9, -0.9, 0.9, 1) }; // 1.9, 1.9, -0.8
  expect(() => frechetDistance(identity, indefinite)).toThrow(/a covariance has a negative variance, about -1\.52;/);
  expect(() => frechetDistance(indefinite, identity)).toThrow(/a covariance has a negative variance/);
  // Left of the first are two features without variance that covary: -0.5, which no diagonal shows.
  const hidden = { ...identity, covariance: Float64Array.of(1, 0, 0, 0, 0, 0.5, 0, 0.5, 0) };
  expect(() => frechetDistance(identity, hidden)).toThrow(/a negative variance, about -0\.500/);
  expect(() => frechetDistance(hidden, identity)).toThrow(/a negative variance, about -0\.500/);
});

test.each([2, 33, 130])("of %i features, -1e-3 of the largest variance is refused and -1e-5 is rounding", (size) => {
  const identity = { mean: new Float64Array(size), covariance: withSpectrum(new Float64Array(size).fill(1)) };
  // Half of the directions are empty; one of these is below 0.
  const singular = (least: number): Gaussian => ({
    ...identity,
    covariance: withSpectrum(list(size, (i) => (i === 0 ? least : i % 2))),
  });
  const ones = Math.floor(size / 2);
  for (const swap of [false, true]) {
    const distance = (other: Gaussian) => (swap ? frechetDistance(other, identity) : frechetDistance(identity, other));
    expect(() => distance(singular(-1e-3))).toThrow(/a covariance has a negative variance, about -0\.00/);
    // size - ones directions lack a variance of 1. What is cut off is 1e-5, and rows of the factor are off by as much.
    expectClose("distance", [distance(singular(-1e-5))], [size - ones], { atol: 1e-4, rtol: 0 });
  }
});

describe("Fréchet distance of covariances that were computed in float32", () => {
  const { fround } = Math;
  /** As a program in float32 sums it up, row by row. */
  function momentsInFloat32(data: Float32Array, rows: number, dims: number): Gaussian {
    const mean = new Float32Array(dims);
    const covariance = new Float32Array(dims * dims);
    for (let at = 0; at < data.length; at++) mean[at % dims]! += data[at]!;
    for (let j = 0; j < dims; j++) mean[j]! /= rows;
    for (let row = 0; row < rows; row++) {
      const centered = data.subarray(row * dims, (row + 1) * dims).map((value, j) => value - mean[j]!);
      for (let i = 0; i < dims; i++)
        for (let j = 0; j < dims; j++) covariance[i * dims + j]! += fround(centered[i]! * centered[j]!);
    }
    return {
      mean: Float64Array.from(mean),
      covariance: Float64Array.from(covariance, (sum) => fround(sum / (rows - 1))),
    };
  }
  // Values: numpy's, from the same samples in float64, by the eigenvalues of √Σa Σb √Σa, those below 0 as 0.
  test.each([
    [60, 128, 0, 1, 37.41118711930136],
    [60, 128, 0, 5, 38.535533200545274],
    [10, 128, 0, 1, 73.20923285079274],
    [127, 128, 2, 1, 2.5552089995342655],
    [127, 128, 2, 5, 2.5921433110080017],
    [40, 300, 3, 1, 10.864670528196633],
    [40, 300, 3, 5, 10.980633722491717],
    [200, 64, 0, 1, 4.869174950369356],
  ] as const)("%i samples of %i features over %i decades, seed %i", (rows, dims, decades, seed, expected) => {
    const samples = (set: number) =>
      Float32Array.from(wave(rows * dims, seed + set), (value, at) => {
        const share = (at % dims) / dims;
        return value * 10 ** (-decades * share) + 0.2 * set * share;
      });
    const [a, b] = [0, 1].map((set) => momentsInFloat32(samples(set), rows, dims)) as [Gaussian, Gaussian];
    // float32 rounds at 6e-8, and singular values of the product add up to about as much as the distance itself.
    expectClose("distance", [frechetDistance(a, b), frechetDistance(b, a)], [expected, expected], {
      atol: 0,
      rtol: 3e-6,
    });
  });
});

describe("products of rows", () => {
  const naive = (a: Operand, b: Operand, depth: number, i: number, j: number) => {
    let sum = 0;
    for (let t = 0; t < depth; t++)
      sum += a.data[i * a.rowStep + t * a.depthStep]! * b.data[j * b.rowStep + t * b.depthStep]!;
    return sum;
  };
  test.each([
    [1, 1, 1],
    [2, 5, 3],
    [4, 4, 4],
    [195, 194, 257],
    [3, 385, 256],
    [385, 6, 10],
  ])("%i and %i rows of %i, every layout and part", (rowsA, rowsB, depth) => {
    const a: Operand = { data: wave(rowsA * depth, 1), rows: rowsA, rowStep: depth, depthStep: 1 };
    const b: Operand = { data: Float32Array.from(wave(rowsB * depth, 2)), rows: rowsB, rowStep: 1, depthStep: rowsB };
    for (const part of ["all", "lower", "upper"] as const) {
      const seen = new Float64Array(rowsA * rowsB).fill(Number.NaN);
      forProducts("test", a, b, { depth, part }, ({ values, stride, row, column, rows, columns }) => {
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) seen[(row + i) * rowsB + column + j] = values[i * stride + j]!;
      });
      for (let i = 0; i < rowsA; i++) {
        for (let j = 0; j < rowsB; j++) {
          if ((part === "lower" && j > i) || (part === "upper" && j < i)) continue;
          // A sum of `depth` products of size 1, in another order.
          expect(Math.abs(seen[i * rowsB + j]! - naive(a, b, depth, i, j))).toBeLessThan(1e-12);
        }
      }
    }
  });
});

test("moments of more features and rows than a block holds are the textbook's", () => {
  const [dims, rows] = [262, 1300];
  const data = Float32Array.from(wave(rows * dims, 3), (value, i) => value + (i % dims));
  const moments = createMoments(dims);
  moments.add(data.subarray(0, 1100 * dims));
  moments.add(data.subarray(1100 * dims));
  const { mean, covariance } = moments.result();
  const column = (j: number) => list(rows, (row) => data[row * dims + j]!);
  for (const [i, j] of [
    [0, 0],
    [261, 260],
    [255, 256],
    [256, 3],
    [17, 261],
  ] as const) {
    const [x, y] = [column(i), column(j)];
    const [meanX, meanY] = [x, y].map((values) => values.reduce((sum, value) => sum + value, 0) / rows) as [
      number,
      number,
    ];
    const scatter = x.reduce((sum, value, row) => sum + (value - meanX) * (y[row]! - meanY), 0);
    expectClose("mean", [mean[i]!], [meanX], { atol: 0, rtol: 1e-13 });
    expectClose(`covariance ${i} ${j}`, [covariance[i * dims + j]!], [scatter / (rows - 1)], {
      atol: 1e-12,
      rtol: 1e-11,
    });
  }
});

test("a kernel distance of more features and rows than a block holds is the definition's", () => {
  const [dims, count] = [261, 197];
  const set = (phase: number) => ({ data: Float32Array.from(wave(count * dims, phase)), count, dims });
  const [x, y] = [set(1), set(2)];
  const kernel = (a: Float32Array, i: number, b: Float32Array, j: number) => {
    let dot = 0;
    for (let t = 0; t < dims; t++) dot += a[i * dims + t]! * b[j * dims + t]!;
    return (dot / dims + 1) ** 3;
  };
  let expected = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      if (i !== j) expected += (kernel(x.data, i, x.data, j) + kernel(y.data, i, y.data, j)) / (count * (count - 1));
      expected -= (2 * kernel(x.data, i, y.data, j)) / count ** 2;
    }
  }
  // The only subset of all rows, in another order: differences of numbers of size 8.
  const { mean } = kernelDistance(x, y, { subsets: 1, subsetSize: count, seed: 0 });
  expectClose("mean", [mean], [expected], { atol: 1e-12, rtol: 0 });
});
