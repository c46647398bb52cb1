import { expect, test } from "vitest";
import { verdict } from "../src/report/verdict";

const base = { name: "base", frechet: 2, parts: [2.9, 3.1, 3, 3] };

test("a difference counts beyond two standard errors of the parts", () => {
  const lines = verdict(base, [
    { name: "near", frechet: 1.9, parts: [2.7, 3.3, 2.6, 3.2] },
    { name: "better", frechet: 1.5, parts: [2.5, 2.6, 2.4, 2.5] },
    { name: "worse", frechet: 2.6, parts: [3.6, 3.5, 3.7, 3.6] },
  ]);
  expect(lines.map((line) => line.split(":")[0])).toEqual([
    "No difference seen between near and base",
    "better is closer to the real images than base",
    "worse loses to base",
  ]);
  // Variance of a part 0.02 / 3 in both: the error of a mean of four is sqrt(0.02 / 3 / 4), of the difference sqrt(2) times as much.
  expect(lines[1]).toContain("differ by -0.50 ± 0.06");
});

test("without parts nothing is said", () => {
  expect(verdict(base, [{ name: "old", frechet: 1 }])[0]).toContain("this says nothing; evaluate again");
});
