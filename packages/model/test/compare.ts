import type { TensorData } from "@tensorar/checkpoint";
import type * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

/** `|actual - expected| <= atol + rtol · |expected|` everywhere; values that are not finite must be identical. */
export function expectClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
) {
  expect(actual.length, `${what}: number of values`).toBe(expected.length);
  expect(actual.length, `${what}: there is something to compare`).toBeGreaterThan(0);
  let worst = { excess: 0, at: -1 };
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [Number(actual[i]), Number(expected[i])];
    const bounded = Number.isFinite(a) && Number.isFinite(e);
    const excess = bounded
      ? Math.abs(a - e) - (tolerance.atol + tolerance.rtol * Math.abs(e))
      : Object.is(a, e)
        ? 0
        : Number.POSITIVE_INFINITY;
    if (excess > worst.excess) worst = { excess, at: i };
  }
  const { at } = worst;
  expect(at, `${what}[${at}]: ${actual[at]}, expected ${expected[at]} (${JSON.stringify(tolerance)})`).toBe(-1);
}

/** As {@link expectClose}, for tensors, whose shapes must be equal. */
export function expectTensor(what: string, actual: tf.Tensor, expected: TensorData, tolerance: Tolerance) {
  expect(actual.shape, `${what}: shape`).toEqual([...expected.shape]);
  expectClose(what, actual.dataSync(), expected.data as ArrayLike<number>, tolerance);
}
