import { describe, expect, test } from "vitest";
import {
  BLANK,
  type CorruptOptions,
  corruptWindows,
  createStream,
  hiddenTokens,
  type NoiseSchedule,
  noiseRates,
  PAD,
  slideWindows,
  TensorARError,
  viewWeights,
} from "../src/index";
import { CHI_SQUARE_CRITICAL, chiSquareUniform, correlation } from "./statistics";

const SCHEDULES: NoiseSchedule[] = [
  { kind: "linear" },
  { kind: "sine" },
  { kind: "sqrt" },
  { kind: "exponential" },
  { kind: "custom", rates: [0, 0.001, 0.5, 1] },
];

describe("the distribution", () => {
  test.each(SCHEDULES)("an entry changes with probability β(j) (1 - 1/V): $kind", (schedule) => {
    const [windowSize, vocabSize, draws, code] = [4, 16, 1_000_000, 5];
    const rates = noiseRates(schedule, windowSize);
    const windows = new Int32Array(draws * windowSize).fill(code);
    const sizes = { batch: 100, count: draws / 100, windowSize, vocabSize, rates };
    const corrupted = corruptWindows(windows, { ...sizes, seed: 20, step: 1 });
    for (let j = 0; j < windowSize; j++) {
      let changed = 0;
      for (let at = j; at < corrupted.length; at += windowSize) changed += corrupted[at] === code ? 0 : 1;
      const p = rates[j]! * (1 - 1 / vocabSize);
      expect(Math.abs(changed / draws - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / draws));
    }
  });

  test.each([16, 17, 100, 512])("replacements are uniform over all %i codes, the old one included", (vocabSize) => {
    const draws = 400_000;
    const windows = new Int32Array(draws * 2).fill(3);
    const sizes = { batch: 4, count: draws / 4, windowSize: 2, vocabSize, rates: [0, 1] };
    const corrupted = corruptWindows(windows, { ...sizes, seed: 21, step: 0 });
    const counts = new Int32Array(vocabSize);
    for (let at = 1; at < corrupted.length; at += 2) counts[corrupted[at]!]!++;
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(draws);
    expect(chiSquareUniform(counts)).toBeLessThan(CHI_SQUARE_CRITICAL[vocabSize - 1]!);
  });

  test("entries, windows, samples, steps and seeds are independent", () => {
    const [batch, count, windowSize] = [50, 1000, 3];
    const windows = new Int32Array(batch * count * windowSize);
    const changes = (seed: number, step: number) => {
      const options = { batch, count, windowSize, vocabSize: 2 ** 20, rates: [0, 0.5, 0.5], seed, step };
      return corruptWindows(windows, options).map((code) => (code === 0 ? 0 : 1));
    };
    const base = changes(1, 1);
    const entries = (from: Int32Array, j: number) => from.filter((_, at) => at % windowSize === j);
    const n = batch * count;
    const limit = 5 / Math.sqrt(n - count);
    const [first, second] = [entries(base, 1), entries(base, 2)];
    expect(Math.abs(correlation(first, second))).toBeLessThan(limit);
    expect(Math.abs(correlation(first.subarray(1), first.subarray(0, n - 1)))).toBeLessThan(limit);
    expect(Math.abs(correlation(first.subarray(count), first.subarray(0, n - count)))).toBeLessThan(limit);
    expect(Math.abs(correlation(first, entries(changes(1, 2), 1)))).toBeLessThan(limit);
    expect(Math.abs(correlation(first, entries(changes(2, 1), 1)))).toBeLessThan(limit);
  });
});

describe("properties", () => {
  const tokens = 12;
  const vocabSize = 64;
  const codesOf = (batch: number) => {
    const stream = createStream(30, "codes");
    return Int32Array.from({ length: batch * tokens }, () => stream.below(vocabSize));
  };
  const windowsOf = (batch: number, windowSize: number) =>
    slideWindows(codesOf(batch), { batch, tokens, windowSize, count: tokens });
  const options = (batch: number, windowSize: number): CorruptOptions => ({
    batch,
    count: tokens,
    windowSize,
    vocabSize,
    rates: noiseRates({ kind: "exponential" }, windowSize),
    seed: 31,
    step: 32,
  });

  test.each([1, 2, 4, tokens])(
    "k = %i: PAD and entry 0 stay, other entries stay codes, the input is untouched",
    (k) => {
      const windows = windowsOf(5, k);
      const before = windows.slice();
      const corrupted = corruptWindows(windows, options(5, k));
      expect(windows).toEqual(before);
      expect(corrupted).not.toBe(windows);
      corrupted.forEach((code, at) => {
        if (before[at] === PAD || at % k === 0) expect(code).toBe(before[at]);
        else expect(code >= 0 && code < vocabSize).toBe(true);
      });
      if (k === 1) expect(corrupted).toEqual(before);
      else expect(corrupted).not.toEqual(before);
    },
  );

  test("a sample's noise does not depend on the batch around it", () => {
    const [batch, k] = [8, 4];
    const windows = windowsOf(batch, k);
    const whole = corruptWindows(windows, options(batch, k));
    const perSample = tokens * k;
    for (const size of [1, 2, 4]) {
      for (let first = 0; first < batch; first += size) {
        const shard = windows.subarray(first * perSample, (first + size) * perSample);
        const corrupted = corruptWindows(shard, { ...options(size, k), sampleOffset: first });
        expect(corrupted).toEqual(whole.slice(first * perSample, (first + size) * perSample));
      }
    }
  });

  test("the same call gives the same noise; another seed, step or offset gives other noise", () => {
    const windows = windowsOf(3, 4);
    const base = corruptWindows(windows, options(3, 4));
    expect(corruptWindows(windows, options(3, 4))).toEqual(base);
    for (const other of [{ seed: 99 }, { step: 99 }, { sampleOffset: 99 }]) {
      expect(corruptWindows(windows, { ...options(3, 4), ...other })).not.toEqual(base);
    }
  });

  test("higher rates keep every replacement of lower ones", () => {
    const windows = windowsOf(6, 4);
    const low = corruptWindows(windows, { ...options(6, 4), rates: [0, 0.1, 0.2, 0.3] });
    const high = corruptWindows(windows, { ...options(6, 4), rates: [0, 0.5, 0.6, 0.9] });
    low.forEach((code, at) => {
      if (code !== windows[at]) expect(high[at]).toBe(code);
    });
    expect(low).not.toEqual(windows);
  });

  test("one code, or no noise, or an empty batch change nothing", () => {
    const zeros = new Int32Array(tokens * 2);
    expect(corruptWindows(zeros, { ...options(1, 2), vocabSize: 1, rates: [0, 1] })).toEqual(zeros);
    const windows = windowsOf(2, 3);
    expect(corruptWindows(windows, { ...options(2, 3), rates: [0, 0, 0] })).toEqual(windows);
    expect(corruptWindows(new Int32Array(0), options(0, 3))).toEqual(new Int32Array(0));
  });

  test.each<[string, Partial<CorruptOptions>, RegExp]>([
    ["a wrong batch", { batch: 3 }, /windows holds 96 entries, not 144; check batch = 3, count = 12, windowSize = 4/],
    ["too few rates", { rates: [0, 0.5] }, /2 rates do not fit windowSize = 4/],
    ["rates that do not start at 0", { rates: [0.5, 0.5, 0.5, 0.5] }, /entry 0 is 0.5; it must be 0/],
    ["NaN among the rates", { rates: [0, Number.NaN, 1, 1] }, /entry 1 is NaN/],
    ["a vocabulary that is too small", { vocabSize: 8 }, /is neither PAD \(-1\) nor a code below vocabSize = 8/],
    ["an empty vocabulary", { vocabSize: 0 }, /vocabSize = 0/],
    ["a negative step", { step: -1 }, /step = -1/],
    ["a negative offset", { sampleOffset: -1 }, /sampleOffset = -1/],
    ["an offset at the end of the range", { sampleOffset: 2 ** 32 - 1 }, /sampleOffset = 4294967295/],
    ["a negative seed", { seed: -1 }, /seed = -1/],
  ])("%s is refused", (_, wrong, message) => {
    const call = () => corruptWindows(windowsOf(2, 4), { ...options(2, 4), ...wrong });
    expect(call).toThrow(TensorARError);
    expect(call).toThrow(message);
  });

  test("a code below PAD is refused by its place and value", () => {
    const windows = Int32Array.of(0, -2);
    const call = () => corruptWindows(windows, { ...options(1, 2), count: 1, rates: [0, 0] });
    expect(call).toThrow(/windows\[1\] = -2 is neither PAD/);
  });
});

describe("hidden tokens, blanks, random rates and noise on the past", () => {
  const [batch, count, windowSize, vocabSize] = [200, 20, 4, 512];
  const tokens = count + windowSize - 1;
  const codes = Int32Array.from({ length: batch * tokens }, (_, i) => i % tokens);
  const windows = slideWindows(codes, { batch, tokens, windowSize, count });
  const sizes = { batch, count, windowSize, vocabSize, seed: 5, step: 2 };
  const NONE = [0, 0, 0, 0];

  test("a hidden token has no true view, in whichever window; other tokens follow the rates", () => {
    const rates = [0, 0.1, 0.1, 0.1];
    const noised = corruptWindows(windows, { ...sizes, rates, hidden: 0.5 });
    let [hiddenCount, views, replaced, byChance] = [0, 0, 0, 0];
    for (let b = 0; b < batch; b++) {
      const hidden = hiddenTokens({ ...sizes, hidden: 0.5 }, b);
      hiddenCount += hidden.reduce((sum, each) => sum + each, 0);
      for (let i = 0; i < count; i++) {
        const at = (b * count + i) * windowSize;
        expect(noised[at]).toBe(windows[at]);
        for (let j = 1; j < windowSize; j++) {
          const isTrue = noised[at + j] === windows[at + j];
          if (hidden[i + j]) byChance += isTrue ? 1 : 0;
          else {
            views++;
            replaced += isTrue ? 0 : 1;
          }
        }
      }
    }
    expect(byChance).toBeLessThan(60); // about 5,800 views of hidden tokens, of which 1 in 512 shows the truth: 11
    const n = batch * tokens;
    expect(Math.abs(hiddenCount / n - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / n));
    const p = 0.1 * (1 - 1 / vocabSize);
    expect(Math.abs(replaced / views - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / views));
  });

  test("without rates, exactly the views of hidden tokens are replaced", () => {
    const noised = corruptWindows(windows, { ...sizes, rates: NONE, hidden: 0.3, blank: 1 });
    for (let b = 0; b < batch; b++) {
      const hidden = hiddenTokens({ ...sizes, hidden: 0.3 }, b);
      for (let entry = 0; entry < count * windowSize; entry++) {
        const at = b * count * windowSize + entry;
        const j = entry % windowSize;
        const isHidden = j > 0 && hidden[(entry - j) / windowSize + j] === 1;
        expect(noised[at]).toBe(isHidden ? BLANK : windows[at]);
      }
    }
  });

  test("blanks take the place of a fraction of the codes, and change nothing else", () => {
    const rates = [0, 0.5, 0.5, 0.5];
    const uniform = corruptWindows(windows, { ...sizes, rates });
    const mixed = corruptWindows(windows, { ...sizes, rates, blank: 0.25 });
    let [blanks, replaced] = [0, 0];
    for (const [at, code] of mixed.entries()) {
      if (code === BLANK) blanks++;
      else expect(code).toBe(uniform[at]);
      if (uniform[at] !== windows[at]) replaced++;
    }
    expect(Math.abs(blanks / replaced - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / replaced));
  });

  test("random rates are one draw for each sample, half of the rates on average", () => {
    const noised = corruptWindows(windows, { ...sizes, rates: [0, 1, 1, 1], randomRates: true });
    const shares = Array.from({ length: batch }, (_, b) => {
      let changed = 0;
      for (let at = b * count * windowSize; at < (b + 1) * count * windowSize; at++)
        if (noised[at] !== windows[at]) changed++;
      return changed / (count * (windowSize - 1));
    });
    const mean = shares.reduce((sum, each) => sum + each, 0) / batch;
    // A uniform draw has variance 1/12, of which the mean of a batch has its part.
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / batch));
    expect(Math.min(...shares)).toBeLessThan(0.1);
    expect(Math.max(...shares)).toBeGreaterThan(0.9);
  });

  test("noise on the past replaces entry 0 only, and never with a blank", () => {
    const noised = corruptWindows(windows, { ...sizes, rates: NONE, past: 0.2, blank: 1 });
    let changed = 0;
    for (const [at, code] of noised.entries()) {
      expect(code).not.toBe(BLANK);
      if (at % windowSize > 0) expect(code).toBe(windows[at]);
      else if (code !== windows[at]) changed++;
    }
    const [n, p] = [batch * count, 0.2 * (1 - 1 / vocabSize)];
    expect(Math.abs(changed / n - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));
  });

  test.each([{ hidden: 1.1 }, { blank: -0.1 }, { past: Number.NaN }])("%o is refused", (wrong) => {
    expect(() => corruptWindows(windows, { ...sizes, rates: NONE, ...wrong })).toThrow(/is no probability; pass 0 … 1/);
  });
});

test("weights of views are the logarithms of their likelihood ratios", () => {
  const [V, rates] = [16, [0, 0.25, 1]];
  const likelihood = (beta: number, same: boolean) => (same ? 1 - beta : 0) + beta / V;
  const expected = rates.slice(1).map((beta) => Math.log(likelihood(beta, true) / likelihood(beta, false)));
  const actual = viewWeights(rates, V);
  expect(actual).toHaveLength(2);
  for (const [i, weight] of actual.entries()) expect(weight).toBeCloseTo(expected[i]!, 12);
});
