import { expect } from "vitest";
import type { Tolerance } from "./reference";

/** Passes where lengths agree and every element is finite with `|a - e| <= atol + rtol · |e|`. */
export function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol, rtol }: Tolerance,
): void {
  expect(actual.length, `${name}: length`).toBe(expected.length);
  expect(expected.length, `${name}: nothing to compare`).toBeGreaterThan(0);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Number.isFinite(a) && Number.isFinite(e) && Math.abs(a - e) <= atol + rtol * Math.abs(e)) continue;
    expect.fail(`${name}[${i}]: ${a}, expected ${e} (atol ${atol}, rtol ${rtol})`);
  }
}
