import { TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";

/** Sum and number of values: all that their mean needs, and it adds up over parts. */
export interface MeanSums {
  readonly count: number;
  readonly sum: number;
}

/** The mean of values that come in pieces, such as `ssim`, `psnr`, LPIPS or `clipScores` of images. */
export interface Mean {
  /** @throws TensorARError at NaN; nothing is added then */
  add(values: ArrayLike<number>): void;
  /** What was added so far. */
  sums(): MeanSums;
}

/** A mean of numbers that come one after the other. */
export function createMean(): Mean {
  let [count, sum] = [0, 0];
  return {
    add(values) {
      const numbers = Array.from(values);
      const wrong = numbers.findIndex(Number.isNaN);
      if (wrong >= 0)
        throw new TensorARError(`createMean: value ${wrong} of ${numbers.length} is NaN; find what made it`);
      for (const value of numbers) sum += value;
      count += numbers.length;
    },
    sums: () => ({ count, sum }),
  };
}

/** Sums of all values from those of parts: to rounding the same as of the whole. */
export function mergeMeans(parts: readonly MeanSums[]): MeanSums {
  for (const { count } of parts) expectInteger("mergeMeans", "count", count, 0, Number.MAX_SAFE_INTEGER);
  const total = (of: (part: MeanSums) => number) => parts.reduce((sum, part) => sum + of(part), 0);
  return { count: total((part) => part.count), sum: total((part) => part.sum) };
}

/** @throws TensorARError where there are no values */
export function meanOf({ count, sum }: MeanSums): number {
  if (count === 0) throw new TensorARError("meanOf: there are no values; add at least one");
  return sum / count;
}
