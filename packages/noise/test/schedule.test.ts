import { describe, expect, test } from "vitest";
import { type NoiseSchedule, noiseRates, TensorARError } from "../src/index";

// β(j) for k = 4 by Python's math module, to all digits: sin(πj/8), sqrt(j/4), (1 - e^(-rj/4)) / (1 - e^-r).
const KNOWN: { schedule: NoiseSchedule; rates: number[] }[] = [
  { schedule: { kind: "linear" }, rates: [0, 0.25, 0.5, 0.75] },
  { schedule: { kind: "sine" }, rates: [0, 0.3826834323650898, 0.7071067811865475, 0.9238795325112867] },
  { schedule: { kind: "sqrt" }, rates: [0, 0.5, Math.SQRT1_2, 0.8660254037844386] },
  { schedule: { kind: "exponential" }, rates: [0, 0.45505423392341127, 0.7310585786300049, 0.8984636759084482] },
  {
    schedule: { kind: "exponential", rate: 0.5 },
    rates: [0, 0.29863342676099563, 0.5621765008857981, 0.7947524474985586],
  },
  {
    schedule: { kind: "exponential", rate: 5 },
    rates: [0, 0.7183353083752138, 0.9241418199787564, 0.9831063727782339],
  },
  { schedule: { kind: "none" }, rates: [0, 0, 0, 0] },
  { schedule: { kind: "custom", rates: [0, 0.1, 0.1, 1] }, rates: [0, 0.1, 0.1, 1] },
  { schedule: { kind: "custom", rates: (entry, k) => (entry / k) ** 2 }, rates: [0, 0.0625, 0.25, 0.5625] },
];

describe("noiseRates", () => {
  test.each(KNOWN)("of $schedule are the formula's", ({ schedule, rates }) => {
    const actual = noiseRates(schedule, 4);
    expect(actual).toBeInstanceOf(Float64Array);
    expect(actual.length).toBe(4);
    rates.forEach((rate, j) => {
      expect(Math.abs(actual[j]! - rate)).toBeLessThanOrEqual(2e-16); // one rounding of a number below 1
    });
  });

  test.each(["linear", "sine", "sqrt", "exponential"] as const)(
    "%s rises from 0 towards 1 for every window",
    (kind) => {
      for (const k of [1, 2, 3, 8, 64, 576]) {
        const rates = noiseRates({ kind }, k);
        expect(rates.length).toBe(k);
        expect(rates[0]).toBe(0);
        for (let j = 1; j < k; j++) expect(rates[j]).toBeGreaterThan(rates[j - 1]!);
        expect(rates[k - 1]).toBeLessThan(1);
      }
    },
  );

  test("a small exponential rate approaches the linear schedule", () => {
    const linear = noiseRates({ kind: "linear" }, 8);
    noiseRates({ kind: "exponential", rate: 1e-12 }, 8).forEach((rate, j) => {
      expect(Math.abs(rate - linear[j]!)).toBeLessThan(1e-12);
    });
  });

  const custom = (...rates: number[]): NoiseSchedule => ({ kind: "custom", rates });
  test.each<[string, NoiseSchedule, number, RegExp]>([
    ["a first rate above 0", custom(0.1, 0.5), 2, /entry 0 is 0.1; it must be 0/],
    ["a decrease", custom(0, 0.5, 0.4), 3, /entry 2 is 0.4, less than 0.5/],
    ["a rate above 1", custom(0, 1.5), 2, /entry 1 is 1.5/],
    ["a negative rate", custom(0, -0.5), 2, /entry 1 is -0.5/],
    ["NaN", custom(0, Number.NaN), 2, /entry 1 is NaN/],
    ["Infinity from a function", { kind: "custom", rates: (j) => (j === 0 ? 0 : Infinity) }, 2, /entry 1 is Infinity/],
    ["too few rates", custom(0, 0.5), 3, /2 rates do not fit windowSize = 3/],
    ["too many rates", custom(0, 0.5), 1, /2 rates do not fit windowSize = 1/],
    ["an exponential rate of 0", { kind: "exponential", rate: 0 }, 4, /rate = 0 /],
    ["a negative exponential rate", { kind: "exponential", rate: -1 }, 4, /rate = -1 /],
    ["an infinite exponential rate", { kind: "exponential", rate: Infinity }, 4, /rate = Infinity /],
    ["a window of 0", { kind: "linear" }, 0, /windowSize = 0/],
    ["a fractional window", { kind: "linear" }, 1.5, /windowSize = 1.5/],
    ["an unknown kind", { kind: "cosine" } as unknown as NoiseSchedule, 4, /"cosine" is unknown; use linear/],
  ])("%s is refused", (_, schedule, k, message) => {
    expect(() => noiseRates(schedule, k)).toThrow(TensorARError);
    expect(() => noiseRates(schedule, k)).toThrow(message);
  });
});
