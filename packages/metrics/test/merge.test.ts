import { expectClose } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import {
  clipScore,
  clipScores,
  codebookUsage,
  codebookUsageOf,
  createCodebookCounts,
  createInceptionScore,
  createMean,
  createMoments,
  type FeatureSet,
  frechetDistance,
  inceptionScore,
  inceptionScoreOf,
  kernelDistance,
  meanOf,
  mergeCodebookCounts,
  mergeFeatures,
  mergeInceptionScores,
  mergeMeans,
  mergeMoments,
  precisionRecall,
  psnr,
  softmax,
  ssim,
} from "../src";

// Parts of a set are measured apart and put together, and must give what the whole gives. Counts are integers, and features
// are copied: equal to the bit. Sums of n float64 numbers in another order differ by at most n · 2^-53 of the sum of their
// magnitudes, 1e-13 for n = 1000; what is computed from them may lose two more digits.
const ROUNDING = { atol: 1e-11, rtol: 1e-11 };

/** Numbers in [-1, 1) that look random: the fractions of multiples of irrational squares. */
const noise = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => 2 * ((((i + 1) ** 2 * Math.SQRT2 + seed * 0.77) * 0.618) % 1) - 1);

/** Ranges [begin, end) between cuts. */
const ranges = (...cuts: number[]): [number, number][] => cuts.slice(1).map((end, i) => [cuts[i]!, end]);

describe("Inception Score", () => {
  const [IMAGES, classes, splitSize] = [1000, 12, 150];
  const probabilities = softmax(noise(IMAGES * classes, 1).map((value) => 4 * value), classes); // biome-ignore format: one row
  const whole = inceptionScore(probabilities, { classes, splitSize });
  const part = ([begin, end]: [number, number], first?: number) => {
    const score = createInceptionScore({ classes, splitSize, ...(first !== undefined && { first }) });
    // Batches of another size, as machines have them.
    for (let at = begin; at < end; at += 64)
      score.add(probabilities.subarray(at * classes, Math.min(end, at + 64) * classes));
    return score.sums();
  };

  test("the sums give what its definition gives", () => {
    let total = 0;
    for (let begin = 0; begin < IMAGES; begin += splitSize) {
      const rows = probabilities.subarray(begin * classes, Math.min(IMAGES, begin + splitSize) * classes);
      const count = rows.length / classes;
      const mean = Array.from({ length: classes }, (_, c) => rows.reduce((sum, p, i) => sum + (i % classes === c ? p / count : 0), 0)); // biome-ignore format: one row
      total += Math.exp(rows.reduce((sum, p, i) => sum + p * Math.log(p / mean[i % classes]!), 0) / count);
    }
    expectClose("score", [whole], [total / Math.ceil(IMAGES / splitSize)], ROUNDING);
  });

  test("cut where chunks end: the same to the bit, and no part needs to know where it lies", () => {
    const parts = ranges(0, 150, 600, 1000).map((range) => part(range));
    expect(inceptionScoreOf(mergeInceptionScores(parts))).toBe(whole);
  });

  test("cut anywhere: the same to rounding, where each part knows its first image", () => {
    const parts = ranges(0, 1, 149, 151, 420, 999, 1000).map((range) => part(range, range[0]));
    const merged = mergeInceptionScores(parts);
    expectClose("score", [inceptionScoreOf(merged)], [whole], ROUNDING);
    expect([...merged.counts]).toEqual([150, 150, 150, 150, 150, 150, 100]);
    // In two steps as in one.
    const pairs = [mergeInceptionScores(parts.slice(0, 3)), mergeInceptionScores(parts.slice(3))];
    expectClose("twice", [inceptionScoreOf(mergeInceptionScores(pairs))], [whole], ROUNDING);
  });

  test("cut elsewhere without saying so is refused, with what to do", () => {
    const parts = ranges(0, 420, 1000).map((range) => part(range));
    expect(() => mergeInceptionScores(parts)).toThrow(
      /part 1 begins at image 0 of a chunk of 150, the parts before it end at 120; compute it with first = 420, or cut parts at multiples of 150/,
    );
    const other = createInceptionScore({ classes: 3, splitSize });
    expect(() => mergeInceptionScores([parts[0]!, other.sums()])).toThrow(/part 1 has classes = 3, the first 12/);
    expect(() => mergeInceptionScores([])).toThrow(/no parts/);
    expect(() => other.result()).toThrow(/there are no images/);
    expect(() => createInceptionScore({ classes, splitSize, first: -1 })).toThrow(/first = -1/);
  });

  test("what was refused was not added", () => {
    const score = createInceptionScore({ classes: 2, splitSize: 10 });
    score.add(Float64Array.of(0.25, 0.75));
    expect(() => score.add(Float64Array.of(0.5, 0.5, 0.5, 0.7))).toThrow(/row 1 sums to 1\.2/);
    expect([...score.sums().counts]).toEqual([1]);
  });
});

test("codebook usage: counts are exact", () => {
  const codes = Int32Array.from(noise(5000, 2), (value) => Math.floor((value ** 2 * 60) % 50));
  const parts = ranges(0, 7, 8, 4000, 5000).map(([begin, end]) => {
    const counts = createCodebookCounts(64);
    counts.add(codes.subarray(begin, end));
    return counts.counts();
  });
  const merged = mergeCodebookCounts(parts);
  expect(codebookUsageOf(merged)).toEqual(codebookUsage(codes, 64));
  expect(merged.reduce((sum, count) => sum + count, 0)).toBe(5000);
  expect(() => mergeCodebookCounts([merged, new Float64Array(3)])).toThrow(/3 codes do not fit 64/);
  const counts = createCodebookCounts(4);
  expect(() => counts.add(Int32Array.of(1, 4))).toThrow(/codes\[1\] = 4 is not in \[0, 4\)/);
  expect(() => codebookUsageOf(counts.counts())).toThrow(/codes is empty/);
});

describe("means of images", () => {
  const cuts = ranges(0, 1, 30, 64);
  const merged = (values: ArrayLike<number>) =>
    meanOf(
      mergeMeans(
        cuts.map(([begin, end]) => {
          const mean = createMean();
          mean.add(Array.from(values).slice(begin, end));
          return mean.sums();
        }),
      ),
    );

  test("CLIP score", () => {
    const set = (seed: number): FeatureSet => ({ data: noise(64 * 8, seed), count: 64, dims: 8 });
    const [images, texts] = [set(3), set(4)];
    expectClose("score", [merged(clipScores(images, texts))], [clipScore(images, texts)], ROUNDING);
    const one = clipScores({ data: Float32Array.of(1, 0), count: 1, dims: 2 }, { data: Float32Array.of(1, 1), count: 1, dims: 2 }); // biome-ignore format: one row
    expectClose("one pair", one, [100 * Math.SQRT1_2], ROUNDING);
  });

  test("PSNR and SSIM", () => {
    const bytes = (seed: number) => Uint8Array.from(noise(64 * 12 * 12 * 3, seed), (value) => 127 + 120 * value);
    const [a, b] = [bytes(5), bytes(6)];
    const size = 12 * 12 * 3;
    const similarities = ssim(a, b, { count: 64, height: 12, width: 12, channels: 3, range: 255 });
    const ratios = Array.from({ length: 64 }, (_, i) => psnr(a.subarray(i * size, (i + 1) * size), b.subarray(i * size, (i + 1) * size))); // biome-ignore format: one row
    for (const values of [similarities, ratios]) {
      const mean = Array.from(values).reduce((sum, value) => sum + value, 0) / 64;
      expectClose("mean", [merged(values)], [mean], ROUNDING);
    }
  });

  test("NaN and emptiness are refused", () => {
    expect(() => createMean().add([1, Number.NaN])).toThrow(/value 1 of 2 is NaN/);
    expect(() => meanOf(createMean().sums())).toThrow(/no values/);
  });
});

describe("features", () => {
  const dims = 6;
  const set = (count: number, seed: number): FeatureSet => ({ data: noise(count * dims, seed), count, dims });
  const [real, fake] = [set(200, 7), set(200, 8)];
  const parts = ranges(0, 3, 120, 200).map(([begin, end]) => ({
    data: fake.data.subarray(begin * dims, end * dims),
    count: end - begin,
    dims,
  }));

  test("KID, precision and recall need them, and are the same to the bit", () => {
    const merged = mergeFeatures(parts);
    const kid = { subsets: 10, subsetSize: 50, seed: 3 };
    expect(kernelDistance(real, merged, kid)).toEqual(kernelDistance(real, fake, kid));
    expect(precisionRecall(real, merged, { k: 3 })).toEqual(precisionRecall(real, fake, { k: 3 }));
  });

  test("are bounded: the first rows of the whole", () => {
    expect(mergeFeatures(parts, 121)).toEqual({ data: fake.data.slice(0, 121 * dims), count: 121, dims });
    expect(mergeFeatures(parts, 2).count).toBe(2);
    expect(() => mergeFeatures([real, { data: new Float32Array(4), count: 2, dims: 2 }])).toThrow(
      /2 dims do not fit 6/,
    );
    expect(() => mergeFeatures([])).toThrow(/no parts/);
  });

  test("FID of merged moments", () => {
    const momentsOf = ({ data }: FeatureSet) => {
      const moments = createMoments(dims);
      moments.add(data);
      return moments.result();
    };
    const merged = mergeMoments(parts.map(momentsOf));
    expect(merged.count).toBe(200);
    const whole = momentsOf(fake);
    expectClose("mean", merged.mean, whole.mean, ROUNDING);
    expectClose("covariance", merged.covariance, whole.covariance, ROUNDING);
    // Square roots of eigenvalues of size 1 double the relative error of small ones.
    expectClose("FID", [frechetDistance(momentsOf(real), merged)], [frechetDistance(momentsOf(real), whole)], { atol: 1e-9, rtol: 1e-9 }); // biome-ignore format: one row
  });
});
