import { expect } from "vitest";

/** Throws unless every element is within `tolerance · (1 + |expected|)`; NaN and infinities must be the same. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "",
): void {
  expect(actual.length, `${what}: number of elements`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    const close =
      Number.isFinite(a) && Number.isFinite(e) ? Math.abs(a - e) <= tolerance * (1 + Math.abs(e)) : Object.is(a, e);
    if (!close) expect.fail(`${what}[${i}] is ${a}, not ${e} within ${tolerance}`);
  }
}
