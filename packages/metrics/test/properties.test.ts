import { expectClose } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import {
  codebookUsage,
  createMoments,
  createRefinement,
  frechetDistance,
  type Gaussian,
  inceptionScore,
  mergeMoments,
  precisionRecall,
  psnr,
  refinementStatistics,
  softmax,
  symmetricEigenvalues,
  TensorARError,
} from "../src";

// Expected numbers come from closed forms and from counting by hand.

/** Uneven numbers of size 1 around `center`. */
const wave = (length: number, phase: number, center = 0) =>
  Float64Array.from({ length }, (_, i) => center + Math.sin(1.3 * i * i + phase) + Math.cos(0.7 * i + phase));
const momentsOf = (...parts: Float64Array[]) => {
  const moments = createMoments(5);
  for (const part of parts) moments.add(part);
  return moments;
};
/** float64 sums of a few hundred numbers of size 1 */
const ROUNDING = { atol: 1e-13, rtol: 1e-12 };

describe("moments", () => {
  const rows = 300;
  const features = wave(rows * 5, 0.2);
  const whole = momentsOf(features).result();

  test("equal the textbook's two passes", () => {
    const column = (j: number) => Float64Array.from({ length: rows }, (_, i) => features[i * 5 + j]!);
    const mean = [0, 1, 2, 3, 4].map((j) => column(j).reduce((sum, x) => sum + x, 0) / rows);
    expectClose("mean", whole.mean, mean, ROUNDING);
    for (let i = 0; i < 5; i++) {
      for (let j = 0; j < 5; j++) {
        let sum = 0;
        for (let row = 0; row < rows; row++)
          sum += (features[row * 5 + i]! - mean[i]!) * (features[row * 5 + j]! - mean[j]!);
        expectClose(`covariance ${i} ${j}`, [whole.covariance[i * 5 + j]!], [sum / (rows - 1)], ROUNDING);
      }
    }
  });

  test.each([[1], [299], [7, 130, 131]])(
    "are the same however rows are split at %j, streamed or merged, in any order",
    (...cuts) => {
      const bounds = [0, ...cuts, rows];
      const parts = bounds.slice(1).map((end, i) => features.slice(bounds[i]! * 5, end * 5));
      const merged = momentsOf();
      for (const part of parts.toReversed()) merged.merge(momentsOf(part));
      for (const result of [momentsOf(...parts).result(), merged.result()]) {
        expect(result.count).toBe(rows);
        expectClose("mean", result.mean, whole.mean, ROUNDING);
        expectClose("covariance", result.covariance, whole.covariance, ROUNDING);
      }
    },
  );

  test("merging leaves the other as it was, and nothing merged changes nothing", () => {
    const [a, b] = [momentsOf(features), momentsOf(wave(50, 2))];
    const before = b.result();
    a.merge(b);
    expect(b.result()).toEqual(before);
    const once = a.result();
    a.merge(createMoments(5));
    expect(a.result()).toEqual(once);
  });

  test("a large mean cancels nothing", () => {
    const far = momentsOf(wave(rows * 5, 0.2, 1e6)).result();
    // Rounding of 1e6 itself leaves 1e-10 of each value.
    expectClose("covariance", far.covariance, whole.covariance, { atol: 1e-8, rtol: 1e-8 });
  });
});

describe("Fréchet distance", () => {
  const diagonal = (mean: number[], variances: number[]): Gaussian => ({
    mean: Float64Array.from(mean),
    covariance: Float64Array.from(variances.flatMap((value, i) => variances.map((_, j) => (i === j ? value : 0)))),
  });

  test("of a Gaussian to itself is 0", () => {
    const gaussian = momentsOf(wave(100, 1)).result();
    expect(frechetDistance(gaussian, gaussian)).toBeLessThan(1e-12);
  });

  test("of diagonal covariances is the sum over features", () => {
    const a = diagonal([1, -2, 0, 4], [4, 9, 1e-8, 0]);
    const b = diagonal([0, 1, 0, 4], [1, 16, 1e8, 2]);
    const roots = (2 - 1) ** 2 + (3 - 4) ** 2 + (1e-4 - 1e4) ** 2 + 2;
    expectClose("distance", [frechetDistance(a, b)], [1 + 9 + roots], { atol: 0, rtol: 1e-12 });
  });

  test("is symmetric, and that of a scaled set to itself is closed", () => {
    const [a, b] = [momentsOf(wave(80, 1)).result(), momentsOf(wave(90, 2, 0.5)).result()];
    expectClose("swapped", [frechetDistance(a, b)], [frechetDistance(b, a)], { atol: 1e-12, rtol: 1e-10 });
    // N(3µ, 9Σ) commutes with N(µ, Σ): |2µ|² + tr (3 - 1)² Σ
    const scaled = { mean: a.mean.map((x) => 3 * x), covariance: a.covariance.map((x) => 9 * x) };
    const trace = [0, 6, 12, 18, 24].reduce((sum, i) => sum + a.covariance[i]!, 0);
    const expected = 4 * (a.mean.reduce((sum, x) => sum + x * x, 0) + trace);
    expectClose("scaled", [frechetDistance(a, scaled)], [expected], { atol: 0, rtol: 1e-11 });
  });

  test("fewer samples than features are no special case", () => {
    const few = momentsOf(wave(15, 1)).result(); // 3 rows of 5
    expect(frechetDistance(few, few)).toBeLessThan(1e-12);
    const moved = { ...few, mean: few.mean.map((x) => x + 2) };
    expectClose("moved", [frechetDistance(few, moved)], [20], { atol: 0, rtol: 1e-11 });
  });

  test("refuses what is no Gaussian", () => {
    const good = diagonal([0, 0], [1, 1]);
    const refuse = (bad: Gaussian) => () => frechetDistance(good, bad);
    expect(refuse(diagonal([0], [1]))).toThrow(/a has 2 features, b has 1/);
    expect(refuse(diagonal([0, Number.NaN], [1, 1]))).toThrow(/b\.mean holds NaN at row 0, column 1/);
    expect(refuse(diagonal([0, 0], [1, -1]))).toThrow(TensorARError);
    expect(refuse({ mean: new Float64Array(2), covariance: new Float64Array(3) })).toThrow(/3 entries, not 4/);
  });
});

test("eigenvalues of a known matrix, ill-conditioned", () => {
  // Q diag(λ) Q with the reflection Q = I - 2 v vᵀ / |v|²
  const v = [1, 2, -1, 3, 0.5];
  const norm = v.reduce((sum, x) => sum + x * x, 0);
  const values = [1e-6, 1e-3, 1, 1e3, 1e6];
  const reflect = (i: number, j: number) => (i === j ? 1 : 0) - (2 * v[i]! * v[j]!) / norm;
  const matrix = Float64Array.from({ length: 25 }, (_, at) => {
    const [i, j] = [Math.floor(at / 5), at % 5];
    return values.reduce((sum, value, k) => sum + reflect(i, k) * value * reflect(k, j), 0);
  });
  const found = [...symmetricEigenvalues(matrix, 5)].sort((a, b) => a - b);
  // The matrix itself is rounded to 1e-16 of its largest element, 1e6.
  expectClose("eigenvalues", found, values, { atol: 1e-9, rtol: 1e-12 });
});

describe("Inception Score", () => {
  const classes = 4;
  const oneHot = (labels: number[]) =>
    Float64Array.from(labels.flatMap((label) => Array.from({ length: classes }, (_, i) => (i === label ? 1 : 0))));

  test("is 1 where every image looks the same, and the number of classes where they are certain and even", () => {
    const options = { classes, splitSize: 100 };
    expect(inceptionScore(new Float64Array(8 * classes).fill(1 / classes), options)).toBeCloseTo(1, 12);
    expect(inceptionScore(oneHot([2, 2, 2]), options)).toBeCloseTo(1, 12);
    expect(inceptionScore(oneHot([0, 1, 2, 3, 3, 2, 1, 0]), options)).toBeCloseTo(classes, 12);
  });

  test("is the mean over chunks, the last of which may be shorter", () => {
    const rows = oneHot([0, 1, 2, 3, 0, 0]);
    expect(inceptionScore(rows, { classes, splitSize: 4 })).toBeCloseTo((4 + 1) / 2, 12);
  });

  test("refuses what are no probabilities", () => {
    const options = { classes, splitSize: 2 };
    expect(() => inceptionScore(Float64Array.of(1, 1, 0, 0), options)).toThrow(/row 0 sums to 2; pass probabilities/);
    expect(() => inceptionScore(Float64Array.of(2, -1, 0, 0), options)).toThrow(/row 0 holds -1/);
    expect(() => inceptionScore(Float64Array.of(1, 0, 0), options)).toThrow(/3 values; pass whole rows of 4/);
    expect(() => inceptionScore(oneHot([0]), { classes, splitSize: 0 })).toThrow(/splitSize = 0/);
  });

  test("softmax of large logits does not overflow", () => {
    expectClose("softmax", softmax(Float64Array.of(1000, 1000, 0), 3), [0.5, 0.5, 0], ROUNDING);
    expect(() => softmax(Float64Array.of(Number.NaN, 0), 2)).toThrow(/logits holds NaN/);
  });
});

describe("precision and recall", () => {
  const set = (...values: number[]) => ({ data: Float64Array.from(values), count: values.length, dims: 1 });

  test("of equal sets are 1, of distant sets 0", () => {
    const real = set(0, 1, 2, 4);
    expect(precisionRecall(real, real, { k: 1 })).toEqual({ precision: 1, recall: 1 });
    expect(precisionRecall(real, set(100, 101, 103), { k: 2 })).toEqual({ precision: 0, recall: 0 });
  });

  test("count points inside balls, by hand", () => {
    // Balls of k = 1 around 0, 1, 3, 10 reach 1, 1, 2 and 7: [-1, 5] and [3, 17]. Around 2, 2.5, 20: 0.5, 0.5, 17.5.
    const [real, fake] = [set(0, 1, 3, 10), set(2, 2.5, 20)];
    expect(precisionRecall(real, fake, { k: 1 })).toEqual({ precision: 2 / 3, recall: 2 / 4 });
  });

  test("copies make balls of radius 0, which hold their copies only", () => {
    const real = set(1, 1, 5, 5);
    expect(precisionRecall(real, set(1, 1, 2), { k: 1 })).toEqual({ precision: 2 / 3, recall: 2 / 4 });
  });

  test("refuse sets that do not fit", () => {
    const wide = { data: new Float64Array(6), count: 3, dims: 2 };
    expect(() => precisionRecall(set(1, 2, 3), wide, { k: 1 })).toThrow(/real has 1 features, fake has 2/);
    expect(() => precisionRecall(set(1, 2), set(1, 2, 3), { k: 2 })).toThrow(/k = 2 needs more than 2 rows/);
    expect(() => precisionRecall(set(1, 2, Number.NaN), set(1, 2, 3), { k: 1 })).toThrow(
      /real\.data holds NaN at row 2/,
    );
    expect(() => precisionRecall({ ...wide, count: 4 }, wide, { k: 1 })).toThrow(/6 entries, not 8/);
  });
});

describe("refinement", () => {
  // One image of three positions, k = 3: drafts from the earliest to the final one.
  const trace = Int32Array.of(-1, -1, 7, /**/ -1, 4, 5, /**/ 6, 6, 6);

  test("flip rate and accuracy by depth of a trace made by hand", () => {
    const { flipRate, draftAccuracy } = refinementStatistics(trace, { images: 1, tokens: 3, windowSize: 3 });
    expect(flipRate).toBe(1 / 2); // 4 became 5, 6 stayed; the first position had no draft
    expect(draftAccuracy).toEqual([1, 1 / 2, 1]);
  });

  test("without drafts there is no flip rate, which is not the same as one of 0", () => {
    const shape = { images: 2, tokens: 2, windowSize: 1 };
    const none = refinementStatistics(Int32Array.of(1, 2, 3, 4), shape);
    expect(none).not.toHaveProperty("flipRate");
    expect(none.draftAccuracy).toEqual([1]);
    const kept = refinementStatistics(Int32Array.of(-1, 1, 2, 2), { images: 1, tokens: 2, windowSize: 2 });
    expect(kept.flipRate).toBe(0);
    const { draftAccuracy } = refinementStatistics(Int32Array.of(-1, 1, -1, 2), {
      images: 1,
      tokens: 2,
      windowSize: 2,
    });
    expect(draftAccuracy).toEqual([Number.NaN, 1]);
  });

  test("entropy of the codes at each depth, and where on the grid they are revised", () => {
    // Two images of two tokens, two depths. First drafts: none and 5, none and 6; final codes: 1 5, 1 7.
    const trace = Int32Array.of(-1, 1, 5, 5, -1, 1, 6, 7);
    const { entropy, revisions } = refinementStatistics(trace, { images: 2, tokens: 2, windowSize: 2 });
    // First drafts are two codes once each; of four final codes one is drawn twice and two once.
    expectClose("entropy", entropy, [Math.log(2), 1.5 * Math.log(2)], { atol: 1e-12, rtol: 0 });
    expect(revisions).toEqual([Number.NaN, 0.5]);
  });

  test("a trace that does not fit, lacks a final token or holds no code is refused by place", () => {
    const shape = { images: 1, tokens: 3, windowSize: 3 };
    const pieces = createRefinement(shape);
    pieces.add(trace);
    pieces.add(trace);
    expect(pieces.result()).toEqual(refinementStatistics(Int32Array.of(...trace, ...trace), { ...shape, images: 2 }));
    expect(() => pieces.add(trace.slice(1))).toThrow(/8 codes of trace are no whole number of images of 3 tokens × 3/);
    expect(() => pieces.add(trace.with(5, -1))).toThrow(/-1 at image 2, token 1, depth 2/);
    expect(() => createRefinement(shape).result()).toThrow(/no images/);
    expect(() => refinementStatistics(trace.slice(1), shape)).toThrow(/8 entries, not 9/);
    expect(() => refinementStatistics(trace.with(5, -1), shape)).toThrow(/-1 at image 0, token 1, depth 2/);
    expect(() => refinementStatistics(trace.with(0, -2), shape)).toThrow(/-2 at image 0, token 0, depth 0/);
  });
});

test("psnr: infinite where equal, by formula elsewhere", () => {
  expect(psnr(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(Number.POSITIVE_INFINITY);
  expect(psnr(Uint8Array.of(0, 0), Uint8Array.of(255, 255))).toBe(0);
  expect(psnr(Uint8Array.of(10, 20), Uint8Array.of(13, 16))).toBeCloseTo(10 * Math.log10(255 ** 2 / 12.5), 12);
  expect(psnr(Uint8Array.of(0), Uint8Array.of(1), { peak: 1 })).toBe(0);
  expect(() => psnr(Uint8Array.of(1), Uint8Array.of(1, 2))).toThrow(TensorARError);
  expect(() => psnr(new Uint8Array(0), new Uint8Array(0))).toThrow(/0 values/);
});

test("codebook usage: codes that occur, and how many even ones they are worth", () => {
  expect(codebookUsage(Int32Array.of(3, 3, 3), 8)).toEqual({ used: 1, perplexity: 1 });
  const even = codebookUsage(Int32Array.of(0, 1, 2, 3), 8);
  expect(even.used).toBe(4);
  expect(even.perplexity).toBeCloseTo(4, 12);
  const uneven = codebookUsage(Int32Array.of(0, 0, 0, 1), 2);
  expect(uneven.perplexity).toBeCloseTo(4 / 3 ** 0.75, 12); // exp(ln 4 - ¾ ln 3)
  expect(() => codebookUsage(Int32Array.of(0, 8), 8)).toThrow(/codes\[1\] = 8 is not in \[0, 8\)/);
  expect(() => codebookUsage(new Int32Array(0), 8)).toThrow(/empty/);
});

test("moments of parts merge to those of the whole", () => {
  const [dims, rows] = [5, 60];
  const data = Float64Array.from({ length: dims * rows }, (_, i) => 100 + Math.sin(i * i));
  const of = (from: number, to: number) => {
    const moments = createMoments(dims);
    moments.add(data.slice(from * dims, to * dims));
    return moments.result();
  };
  const merged = mergeMoments([of(0, 7), of(7, 40), of(40, rows)]);
  const whole = of(0, rows);
  expect(merged.count).toBe(rows);
  // Sums of some dozen terms of size 1 in another order; means lie at 100.
  expectClose("mean", merged.mean, whole.mean, { atol: 1e-11, rtol: 0 });
  expectClose("covariance", merged.covariance, whole.covariance, { atol: 1e-12, rtol: 1e-12 });
  expect(mergeMoments([whole])).toEqual(whole);
  expect(() => mergeMoments([])).toThrow(/no parts/);
  const other = { count: 3, mean: new Float64Array(2), covariance: new Float64Array(4) };
  expect(() => mergeMoments([whole, other])).toThrow(/2 dims do not fit 5/);
});
