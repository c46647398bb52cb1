import { expect, test } from "vitest";
import { estimate } from "../src";

test("mean and standard error", () => {
  // variance of 1, 2, 6: (4 + 1 + 9) / 2 = 7
  expect(estimate([1, 2, 6])).toEqual({ mean: 3, standardError: Math.sqrt(7 / 3) });
  expect(estimate([4])).toEqual({ mean: 4, standardError: undefined });
});

test("no values and NaN are refused", () => {
  expect(() => estimate([])).toThrow("no values; pass numbers, at least one");
  expect(() => estimate([1, Number.NaN])).toThrow("a value is NaN");
});
