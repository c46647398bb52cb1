import { createStream } from "@tensorar/noise";
import { requireCases } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { createCategorical, type SamplingOptions } from "../src";
import { filterCases } from "./filter-cases";

const everything: SamplingOptions = { temperature: 1, topK: 0, topP: 1 };

const cases = filterCases();
requireCases("sampling filters", cases);

describe.each(cases)("$name", ({ logits, combos, tolerance }) => {
  const [rows, V] = logits.shape as [number, number];
  const categorical = createCategorical(V);

  test.each(combos)("top-k $top_k, top-p $top_p, temperature $temperature", (combo) => {
    const { top_k: topK, top_p: topP, temperature, kept, probabilities } = combo;
    for (let row = 0; row < rows; row++) {
      const options = { temperature, topK, topP };
      const { weights, total } = categorical.weights(logits.data, row * V, options, `row ${row}`);
      const expected = probabilities.subarray(row * V, (row + 1) * V);
      expect(weights.filter((weight) => weight > 0)).toHaveLength(kept[row]!);
      const values = logits.data.subarray(row * V, (row + 1) * V);
      // Which of several equal logits the original keeps depends on its unstable sort; only their number is defined.
      const ties = new Set(values).size < V;
      const ordered = (p: ArrayLike<number>) => (ties ? Array.from(p).sort((a, b) => a - b) : Array.from(p));
      const ours = ordered(weights.map((weight) => weight / total));
      for (const [i, p] of ordered(expected).entries()) expect(Math.abs(ours[i]! - p)).toBeLessThanOrEqual(tolerance);
    }
  });
});

test("codes are drawn with their probabilities", () => {
  const logits = Float32Array.of(0.3, -1, 2, 0.5, 1.1, -0.2, 0, 1.7);
  const options = { ...everything, temperature: 1.4 };
  const draws = 200_000;
  const counts = new Float64Array(logits.length);
  const categorical = createCategorical(logits.length);
  const random = createStream(11, "draws");
  for (let i = 0; i < draws; i++) counts[categorical.sample(logits, 0, options, random.uniform(), "row")]!++;
  const powers = Array.from(logits, (logit) => Math.exp(logit / 1.4));
  const total = powers.reduce((a, b) => a + b);
  const chiSquare = powers.reduce((sum, power, code) => {
    const expected = (draws * power) / total;
    return sum + (counts[code]! - expected) ** 2 / expected;
  }, 0);
  expect(chiSquare).toBeLessThan(29.9); // 7 degrees of freedom: exceeded once in 10⁴ by a right sampler
});

describe("the Gumbel-max trick", () => {
  const V = 8;
  const logits = Float32Array.of(0.3, -1, 2, 0.5, 1.1, -0.2, 0, 1.7);
  const categorical = createCategorical(V);
  const random = createStream(12, "words");
  const words = () => Uint32Array.from({ length: V }, () => random.uint32());

  test("draws codes with their probabilities, of those that are kept", () => {
    const options = { temperature: 1.4, topK: 5, topP: 1 };
    const kept = [0, 2, 3, 4, 7];
    const draws = 100_000;
    const counts = new Float64Array(V);
    for (let i = 0; i < draws; i++) counts[categorical.race(logits, 0, options, words(), "row")]!++;
    const total = kept.reduce((sum, code) => sum + Math.exp(logits[code]! / 1.4), 0);
    const chiSquare = kept.reduce((sum, code) => {
      const expected = (draws * Math.exp(logits[code]! / 1.4)) / total;
      return sum + (counts[code]! - expected) ** 2 / expected;
    }, 0);
    expect(kept.reduce((sum, code) => sum + counts[code]!, 0)).toBe(draws);
    expect(chiSquare).toBeLessThan(23.5); // 4 degrees of freedom: exceeded once in 10⁴ by a right sampler
  });

  test("takes the largest sum of logit and Gumbel number, -log(-log U)", () => {
    for (let i = 0; i < 500; i++) {
      const numbers = words();
      // U of the Gumbel number is 1 minus that of the words, so that small words decide and are exact.
      const scores = Array.from(logits, (logit, code) => {
        const u = (numbers[code]! + 0.5) / 2 ** 32;
        return logit / 0.7 - Math.log(-Math.log(1 - u));
      });
      const expected = scores.indexOf(Math.max(...scores));
      expect(categorical.race(logits, 0, { ...everything, temperature: 0.7 }, numbers, "row")).toBe(expected);
    }
  });

  test("shares most draws of like distributions: of p and q at least (1 - d) / (1 + d), d their total variation", () => {
    // Daliri et al. 2024, "Coupling without Communication", theorem 1, for this coupling.
    const other = logits.map((logit, code) => logit + (code === 2 ? -0.5 : 0));
    const probabilities = (row: Float32Array) => {
      const weights = Array.from(row, Math.exp);
      return weights.map((weight) => weight / weights.reduce((a, b) => a + b));
    };
    const [p, q] = [probabilities(logits), probabilities(other)];
    const distance = p.reduce((sum, share, code) => sum + Math.abs(share - q[code]!), 0) / 2;
    const draws = 20_000;
    let same = 0;
    for (let i = 0; i < draws; i++) {
      const numbers = words();
      const [a, b] = [logits, other].map((row) => categorical.race(row, 0, everything, numbers, "row"));
      if (a === b) same++;
    }
    expect(distance).toBeGreaterThan(0.05);
    expect(same / draws).toBeGreaterThan((1 - distance) / (1 + distance));
    expect(same / draws).toBeLessThan(1 - distance + 0.01); // no coupling does better
  });

  test("logits of -Infinity and the ends of the words", () => {
    const row = Float32Array.of(Number.NEGATIVE_INFINITY, 1e4, 0);
    const numbers = Uint32Array.of(0, 2 ** 32 - 1, 5);
    expect(createCategorical(3).race(row, 0, everything, numbers, "row")).toBe(1);
  });
});

test("a uniform number picks the code whose share of the interval it falls in", () => {
  const categorical = createCategorical(4);
  const logits = Float32Array.from([0, 0.25, 0.5, 0.25], Math.log);
  const at = (u: number) => categorical.sample(logits, 0, everything, u, "row");
  expect([0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2 ** -24].map(at)).toEqual([1, 1, 2, 2, 3, 3]);
});

test("logits too large for exp, and logits of -Infinity", () => {
  const categorical = createCategorical(3);
  const logits = Float32Array.of(1e4, Number.NEGATIVE_INFINITY, 1e4);
  expect(Array.from(categorical.weights(logits, 0, everything, "row").weights)).toEqual([1, 0, 1]);
});

test("the smallest temperature there is leaves the largest logit alone", () => {
  const { weights } = createCategorical(3).weights(
    Float32Array.of(1, 2, 2),
    0,
    { ...everything, temperature: 5e-324 },
    "row",
  );
  expect(Array.from(weights)).toEqual([0, 1, 1]);
});

test("two samplers of as many codes do not disturb each other", () => {
  const [one, other] = [createCategorical(4), createCategorical(4)];
  const { weights } = one.weights(Float32Array.of(0, 0, -1000, -1000), 0, everything, "row");
  other.weights(Float32Array.of(-1000, -1000, 0, 0), 0, everything, "row");
  expect(Array.from(weights)).toEqual([1, 1, 0, 0]);
});

test("logits that say nothing are refused with their place", () => {
  const categorical = createCategorical(3);
  const sample = (logits: number[]) =>
    categorical.sample(Float32Array.from(logits), 0, everything, 0.5, "image 7, token 2");
  expect(() => sample([0, Number.NaN, 1])).toThrow(/image 7, token 2: logit of code 1 is NaN/);
  expect(() => sample([-1, -1, -1].map(() => Number.NEGATIVE_INFINITY))).toThrow(/largest logit is -Infinity/);
  expect(() => sample([0, Number.POSITIVE_INFINITY, 1])).toThrow(/largest logit is Infinity/);
  expect(() => sample([0, 1])).toThrow(/image 7, token 2: a row of 2 logits for 3 codes/);
});

test("the K-th largest is found whatever the order and the ties", () => {
  const random = createStream(3, "orders");
  for (let trial = 0; trial < 300; trial++) {
    const V = 1 + random.below(40);
    const kinds = 1 + random.below(10); // few values: many ties
    const row = Float32Array.from({ length: V }, () => random.below(kinds) - 3);
    const topK = 1 + random.below(V);
    const { weights } = createCategorical(V).weights(row, 0, { temperature: 1, topK, topP: 1 }, "here");
    const threshold = row.toSorted().at(-topK)!;
    expect(Array.from(weights, (weight) => weight > 0)).toEqual(Array.from(row, (value) => value >= threshold));
  }
});

test("of many codes, as many are kept as top-k and top-p say", () => {
  const random = createStream(5, "many");
  const V = 5000; // large enough for a sample to be looked at first
  for (let trial = 0; trial < 40; trial++) {
    const step = [0.5, 0.01, 0][trial % 3]!; // coarse logits have many ties
    const row = Float32Array.from({ length: V }, () => {
      const value = (trial % 5 === 4 ? 0.01 : 2) * random.normal();
      return step === 0 ? value : step * Math.round(value / step);
    });
    const topK = [0, 1, 37, 1200, 4999][trial % 5]!;
    const topP = [1, 0.9, 0.3, 0.999][trial % 4]!;
    const temperature = 0.5 + random.uniform();
    const { weights } = createCategorical(V).weights(row, 0, { temperature, topK, topP }, "here");
    // Sorted, the plain way.
    const descending = row.toSorted().reverse();
    const candidates = topK === 0 ? descending : descending.filter((value) => value >= descending[topK - 1]!);
    const powers = Float64Array.from(candidates, (value) => Math.exp((value - descending[0]!) / temperature));
    const wanted = topP * powers.reduce((sum, power) => sum + power, 0);
    let [sum, kept] = [0, 0];
    while (kept < candidates.length && (topP === 1 || sum <= wanted)) sum += powers[kept++]!;
    expect(weights.filter((weight) => weight > 0).length, `trial ${trial}`).toBe(kept);
    expect(Math.min(...row.filter((_, code) => weights[code]! > 0))).toBe(candidates[kept - 1]);
  }
});
