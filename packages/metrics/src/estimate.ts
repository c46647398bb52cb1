import { TensorARError } from "@tensorar/core";

/** A mean and how far chance moves it. */
export interface Estimate {
  readonly mean: number;
  /** Of the mean; undefined for a single value. */
  readonly standardError: number | undefined;
}

/** Mean of values and its standard error, with n - 1 in the variance. @throws TensorARError without values, or at NaN */
export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  if (n === 0 || values.some(Number.isNaN))
    throw new TensorARError(`estimate: ${n === 0 ? "no values" : "a value is NaN"}; pass numbers, at least one`);
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, standardError: undefined };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, standardError: Math.sqrt(variance / n) };
}
