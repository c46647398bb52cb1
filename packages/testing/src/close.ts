import type * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

/** Two numbers are close where `|actual - expected| <= atol + rtol · |expected|`, as in `torch.testing.assert_close`. */
export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

/** Numbers with their shape, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}

/** Fails unless there is something to compare and all numbers are close. NaN and infinities are never close. */
export function expectClose(
  what: string,
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  { atol, rtol }: Tolerance,
): void {
  expect(actual.length, `${what}: number of values`).toBe(expected.length);
  expect(expected.length, `${what}: nothing to compare`).toBeGreaterThan(0);
  let worst = { excess: 0, at: -1 };
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [Number(actual[i]), Number(expected[i])];
    const excess = Math.abs(a - e) - (atol + rtol * Math.abs(e));
    if (!Number.isFinite(excess)) expect.fail(`${what}[${i}]: ${a}, expected ${e}`);
    if (excess > worst.excess) worst = { excess, at: i };
  }
  const { at } = worst;
  if (at >= 0) expect.fail(`${what}[${at}]: ${actual[at]}, expected ${expected[at]} (atol ${atol}, rtol ${rtol})`);
}

/** As {@link expectClose}; shapes must be equal. */
export function expectTensor(what: string, actual: Values | tf.Tensor, expected: Values, tolerance: Tolerance): void {
  expect(actual.shape, `${what}: shape`).toEqual([...expected.shape]);
  expectClose(what, valuesOf(actual).data, expected.data, tolerance);
}

export const valuesOf = (tensor: Values | tf.Tensor): Values =>
  "data" in tensor && typeof tensor.data !== "function"
    ? (tensor as Values)
    : { shape: tensor.shape, data: (tensor as tf.Tensor).dataSync() };
