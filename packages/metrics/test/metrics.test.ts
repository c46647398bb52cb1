import { expectClose } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import {
  clipScore,
  type FeatureSet,
  kernelDistance,
  manifoldScores,
  precisionRecall,
  type RowProducts,
  ssim,
} from "../src";
import { shuffledIndices } from "../src/shuffle";

// Expected values: the definitions written out anew, pair by pair, or closed forms.

const noise = (seed: number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
};

function features(count: number, dims: number, seed: number, shift = 0): FeatureSet {
  const random = noise(seed);
  return { count, dims, data: Float32Array.from({ length: count * dims }, () => shift + random() + random()) };
}
const row = ({ data, dims }: FeatureSet, i: number) => Array.from(data.subarray(i * dims, (i + 1) * dims));

describe("kernelDistance", () => {
  test("one subset of everything is the unbiased formula, pair by pair", () => {
    const [real, fake] = [features(9, 4, 1), features(9, 4, 2, 0.3)];
    const kernel = (x: number[], y: number[]) => (x.reduce((sum, value, t) => sum + value * y[t]!, 0) / 4 + 1) ** 3;
    const all = Array.from({ length: 9 }, (_, i) => i);
    const pairs = (a: FeatureSet, b: FeatureSet, apart: boolean) =>
      all.flatMap((i) => all.filter((j) => !apart || i !== j).map((j) => kernel(row(a, i), row(b, j))));
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    const expected = mean(pairs(real, real, true)) + mean(pairs(fake, fake, true)) - 2 * mean(pairs(real, fake, false));
    const { mean: actual, std } = kernelDistance(real, fake, { subsets: 1, subsetSize: 9, seed: 0 });
    expectClose("kid", [actual], [expected], { atol: 1e-12, rtol: 1e-12 });
    expect(std).toBe(0);
  });

  test("is unbiased: near 0 over subsets of one distribution, and the same for the same seed", () => {
    const [real, fake] = [features(400, 8, 3), features(400, 8, 4)];
    const options = { subsets: 50, subsetSize: 100, seed: 7 };
    const { mean, std } = kernelDistance(real, fake, options);
    // Subsets overlap, so the mean is less certain than std / √50 says.
    expect(Math.abs(mean)).toBeLessThan(std);
    expect(kernelDistance(real, fake, options)).toEqual({ mean, std });
    expect(kernelDistance(real, fake, { ...options, seed: 8 }).mean).not.toBe(mean);
    expect(kernelDistance(real, features(400, 8, 4, 0.5), options).mean).toBeGreaterThan(10 * std);
  });

  test("a shuffle holds every index once", () => {
    expect([...shuffledIndices(50, 3)].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([...shuffledIndices(50, 3)]).not.toEqual([...shuffledIndices(50, 4)]);
  });
});

describe("manifoldScores", () => {
  /** Products rounded to float32 at every step, as coarse as a correct matrix product can be. */
  const products: RowProducts = async (a, b, { rowsA, rowsB, dims }) =>
    Float32Array.from({ length: rowsA * rowsB }, (_, at) => {
      const [i, j] = [Math.floor(at / rowsB), at % rowsB];
      let sum = 0;
      for (let t = 0; t < dims; t++) sum = Math.fround(sum + Math.fround(a[i * dims + t]! * b[j * dims + t]!));
      return sum;
    });

  /** The definitions of all four with exact distances. */
  function plain(real: FeatureSet, fake: FeatureSet, k: number) {
    const squared = (a: FeatureSet, i: number, b: FeatureSet, j: number) =>
      row(a, i).reduce((sum, value, t) => sum + (value - row(b, j)[t]!) ** 2, 0);
    const radii = (set: FeatureSet) =>
      Array.from({ length: set.count }, (_, i) => {
        const others = Array.from({ length: set.count }, (_, j) => j).filter((j) => j !== i);
        return others.map((j) => squared(set, i, set, j)).sort((a, b) => a - b)[k - 1]!;
      });
    const [ofReal, ofFake] = [radii(real), radii(fake)];
    const inReal = Array.from(
      { length: fake.count },
      (_, j) => ofReal.filter((radius, i) => squared(real, i, fake, j) <= radius).length,
    );
    const share = (hits: boolean[]) => hits.filter(Boolean).length / hits.length;
    const anyFake = (test: (i: number, j: number) => boolean) =>
      Array.from({ length: real.count }, (_, i) =>
        Array.from({ length: fake.count }, (_, j) => j).some((j) => test(i, j)),
      );
    return {
      precision: share(inReal.map((balls) => balls > 0)),
      recall: share(anyFake((i, j) => squared(real, i, fake, j) <= ofFake[j]!)),
      density: inReal.reduce((a, b) => a + b) / (k * fake.count),
      coverage: share(anyFake((i, j) => squared(real, i, fake, j) <= ofReal[i]!)),
    };
  }

  test.each([
    ["far from the origin, where float32 products are coarse", 1000],
    ["at the origin", 0],
  ])("equals the definitions, %s", async (_, shift) => {
    const [real, fake] = [features(70, 6, 5, shift), features(50, 6, 6, shift + 0.2)];
    const scores = await manifoldScores(real, fake, { k: 3, products });
    expect(scores).toEqual(plain(real, fake, 3));
    const { precision, recall } = precisionRecall(real, fake, { k: 3 });
    expect([scores.precision, scores.recall]).toEqual([precision, recall]);
  });

  test("of a set and itself: everything is covered", async () => {
    const set = features(600, 5, 9); // more than one block
    const { precision, recall, coverage } = await manifoldScores(set, set, { k: 2, products });
    expect([precision, recall, coverage]).toEqual([1, 1, 1]);
  });
});

describe("ssim", () => {
  const size = { count: 2, height: 14, width: 13, channels: 3, range: 255 };
  const images = (seed: number) => {
    const random = noise(seed);
    return Float64Array.from({ length: 2 * 14 * 13 * 3 }, () => 127 + 200 * random());
  };

  test("equals the definition, window by window in two dimensions", () => {
    const [a, b] = [images(1), images(2)];
    const weight = (i: number, j: number) => Math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5 ** 2));
    const window = Array.from({ length: 121 }, (_, at) => [Math.floor(at / 11), at % 11] as const);
    const total = window.reduce((sum, [i, j]) => sum + weight(i, j), 0);
    const expected = [0, 1].map((image) => {
      const scores: number[] = [];
      for (let c = 0; c < 3; c++)
        for (let y = 0; y + 11 <= 14; y++)
          for (let x = 0; x + 11 <= 13; x++) {
            const mean = (of: (i: number) => number) =>
              window.reduce((sum, [i, j]) => sum + weight(i, j) * of(((image * 14 + y + i) * 13 + x + j) * 3 + c), 0) /
              total;
            const [mx, my] = [mean((at) => a[at]!), mean((at) => b[at]!)];
            const vx = mean((at) => (a[at]! - mx) ** 2);
            const vy = mean((at) => (b[at]! - my) ** 2);
            const cov = mean((at) => (a[at]! - mx) * (b[at]! - my));
            const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
            scores.push(((2 * mx * my + c1) * (2 * cov + c2)) / ((mx ** 2 + my ** 2 + c1) * (vx + vy + c2)));
          }
      return scores.reduce((sum, score) => sum + score) / scores.length;
    });
    // Variances as differences of squares of size 1e5 lose about 1e-11 of them.
    expectClose("ssim", ssim(a, b, size), expected, { atol: 1e-9, rtol: 1e-9 });
  });

  test("is 1 for equal images, and refuses small ones", () => {
    expectClose("same", ssim(images(1), images(1), size), [1, 1], { atol: 1e-12, rtol: 0 });
    const small = { ...size, count: 1, height: 10, width: 10 };
    expect(() => ssim(new Uint8Array(300), new Uint8Array(300), small)).toThrow(/smaller than its window of 11/);
  });
});

test("clipScore: cosines of pairs, those below 0 count as 0", () => {
  const set = (rows: number[][]): FeatureSet => ({ count: rows.length, dims: 2, data: Float64Array.from(rows.flat()) });
  const images = set([[2, 0], [1, 1], [0, 3], [1, 0]]); // biome-ignore format: one row
  const texts = set([[5, 0], [1, 0], [0, -1], [0, 1]]); // biome-ignore format: one row
  expectClose("score", [clipScore(images, texts)], [(100 * (1 + Math.SQRT1_2)) / 4], { atol: 1e-12, rtol: 0 });
  expect(() =>
    clipScore(
      images,
      set([
        [1, 2],
        [3, 4],
      ]),
    ),
  ).toThrow(/4 images for 2 captions/);
  expect(() =>
    clipScore(
      images,
      set([
        [1, 2],
        [0, 0],
        [1, 1],
        [1, 1],
      ]),
    ),
  ).toThrow(/embedding 1 has length 0/);
});

describe("bad input names the value and what would be right", () => {
  const [real, fake] = [features(10, 3, 1), features(8, 3, 2)];
  test.each([
    [
      () => kernelDistance(real, fake, { subsets: 2, subsetSize: 9, seed: 0 }),
      /subsets of 9 rows don't fit a set of 8/,
    ],
    [
      () => kernelDistance(real, { ...fake, dims: 4, count: 6 }, { subsets: 1, subsetSize: 2, seed: 0 }),
      /3 features.*4/,
    ],
    [
      () =>
        kernelDistance(
          real,
          { ...fake, data: fake.data.map(() => Number.NaN) },
          { subsets: 1, subsetSize: 2, seed: 0 },
        ),
      /NaN/,
    ],
  ])("%#", (call, message) => {
    expect(call).toThrow(message);
  });

  test("manifoldScores", async () => {
    const products: RowProducts = async () => new Float32Array(0);
    await expect(manifoldScores(real, fake, { k: 8, products })).rejects.toThrow(/k = 8 needs more than 8 rows.*not 8/);
  });
});
