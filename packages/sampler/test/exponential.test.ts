import { createStream } from "@tensorar/noise";
import { expect, test } from "vitest";
import { exponential } from "../src/exponential";

test("differs from Math.exp by less than one part in 10^13", () => {
  const random = createStream(1, "exponents");
  const exponents = [0, -1e-300, -1e-9, -Math.LN2, -Math.LN2 / 128, -708, ...[1, 30, 700].map((x) => -x)];
  for (let i = 0; i < 100_000; i++) exponents.push(-708 * random.uniform() ** 4);
  let worst = 0;
  for (const x of exponents) worst = Math.max(worst, Math.abs(exponential(x) / Math.exp(x) - 1));
  expect(worst).toBeLessThan(1e-13); // what the polynomial leaves out, and a few roundings
  expect(exponential(0)).toBe(1);
});

test("is 0 where no normal number is small enough, and for what is no number", () => {
  for (const x of [-709, -1e4, -1e300, Number.NEGATIVE_INFINITY, Number.NaN]) expect(exponential(x)).toBe(0);
});

test("never grows as x falls", () => {
  let [before, rises] = [exponential(0), 0];
  for (let x = 0; x > -3; x -= 1e-5) {
    const now = exponential(x);
    if (now > before) rises++;
    before = now;
  }
  expect(rises).toBe(0);
});
