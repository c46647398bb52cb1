import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";

/**
 * How the noise rate β(j) rises over the entries `j = 0 … k-1` of a tensor.
 *
 * Source: Cheng et al., "From Prediction to Perfection", ICLR 2026, discrete tensor noising. With `u = j / k`; FID is
 * the paper's ablation on LlamaGen-B (base model 5.46):
 *
 * | kind          | β(j)                               | FID     |
 * | ------------- | ---------------------------------- | ------- |
 * | `linear`      | `u`                                | 4.79    |
 * | `sine`        | `sin(π u / 2)`                     | 4.75    |
 * | `sqrt`        | `√u`                               | 4.84    |
 * | `exponential` | `(1 - e^{-r u}) / (1 - e^{-r})`    | 4.71    |
 * | `none`        | `0`: leaks the overlap of tensors  | no gain |
 * | `custom`      | an array of k rates, or a function | -       |
 *
 * Differs: the paper's exponent holds `1 / (k / 2)`, which is rate `r = 2`, the default; a free `rate > 0` is ours.
 */
export type NoiseSchedule =
  | { readonly kind: "linear" }
  | { readonly kind: "sine" }
  | { readonly kind: "sqrt" }
  | { readonly kind: "exponential"; readonly rate?: number }
  | { readonly kind: "none" }
  | {
      readonly kind: "custom";
      readonly rates: readonly number[] | ((entry: number, windowSize: number) => number);
    };

const DEFAULT_EXPONENTIAL_RATE = 2;

/**
 * The rates β(0) … β(k-1) of a schedule: the probability that entry `j` of a tensor of `windowSize` tokens is
 * replaced by noise. Unitless, in [0, 1].
 *
 * @throws TensorARError when `windowSize` is not a positive integer, or the rates are not finite, not in [0, 1],
 *   decreasing, or do not start at 0
 */
export function noiseRates(schedule: NoiseSchedule, windowSize: number): Float64Array {
  expectInteger("noiseRates", "windowSize", windowSize, 1, 2 ** 31 - 1);
  const rates = Float64Array.from(unchecked(schedule, windowSize));
  checkRates("noiseRates", rates, windowSize);
  return rates;
}

/** Throws unless `rates` are `windowSize` finite numbers in [0, 1] that start at 0 and never decrease. */
export function checkRates(where: string, rates: ArrayLike<number>, windowSize: number): void {
  if (rates.length !== windowSize) {
    throw new TensorARError(
      `${where}: ${rates.length} rates do not fit windowSize = ${windowSize}; pass one per entry`,
    );
  }
  let previous = 0;
  for (let j = 0; j < windowSize; j++) {
    const rate = rates[j]!;
    const found = `${where}: the rate of entry ${j} is ${rate}`;
    if (!(rate >= 0 && rate <= 1)) throw new TensorARError(`${found}; rates are probabilities from 0 to 1`);
    if (j === 0 && rate !== 0) throw new TensorARError(`${found}; it must be 0, because entry 0 is final`);
    if (rate < previous) {
      throw new TensorARError(`${found}, less than ${previous} before it; rates must not decrease with the entry`);
    }
    previous = rate;
  }
}

function unchecked(schedule: NoiseSchedule, k: number): ArrayLike<number> {
  const ofProgress = (rate: (u: number) => number) => Array.from({ length: k }, (_, j) => rate(j / k));
  requireOptions("noiseRates", schedule, ["kind"]);
  switch (schedule.kind) {
    case "linear":
      return ofProgress((u) => u);
    case "sine":
      return ofProgress((u) => Math.sin((Math.PI * u) / 2));
    case "sqrt":
      return ofProgress(Math.sqrt);
    case "exponential": {
      const r = schedule.rate ?? DEFAULT_EXPONENTIAL_RATE;
      if (!(r > 0 && r < Infinity)) {
        throw new TensorARError(`noiseRates: rate = ${r} of the exponential schedule; pass a finite number above 0`);
      }
      return ofProgress((u) => Math.expm1(-r * u) / Math.expm1(-r)); // expm1 keeps small rates exact
    }
    case "none":
      return new Float64Array(k);
    case "custom": {
      requireOptions("noiseRates", schedule, ["kind", "rates"]);
      const { rates } = schedule;
      return typeof rates === "function" ? Array.from({ length: k }, (_, j) => rates(j, k)) : rates;
    }
    default: {
      const { kind } = schedule as { kind: unknown };
      throw new TensorARError(
        `noiseRates: schedule kind ${JSON.stringify(kind)} is unknown; use linear, sine, sqrt, exponential, none or custom`,
      );
    }
  }
}
