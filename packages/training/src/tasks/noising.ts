import { type CorruptOptions, type NoiseSchedule, noiseRates } from "@tensorar/noise";

/** What the entries of training windows are replaced with, and how often. */
export interface NoisingOptions {
  /** Schedule of the noise rates β(j). */
  readonly noise: NoiseSchedule;
  /** Fraction of tokens without a true view in any window, in [0, 1]; default 0. The others follow the schedule. */
  readonly hidden?: number | undefined;
  /** Fraction of replaced entries that become a learned blank and not a uniform code, in [0, 1]; default 0. */
  readonly blank?: number | undefined;
  /** Scales the rates of each image by a uniform draw; default no. */
  readonly randomRates?: boolean | undefined;
  /** Rate at which final tokens of the past are replaced, in [0, 1]; default 0. */
  readonly past?: number | undefined;
}

/** {@link NoisingOptions} as `corruptWindows` takes them. */
export type Noising = Required<Pick<CorruptOptions, "rates" | "hidden" | "blank" | "randomRates" | "past">>;

export const noisingOf = (
  { noise, hidden = 0, blank = 0, randomRates = false, past = 0 }: NoisingOptions,
  windowSize: number,
): Noising => ({ rates: noiseRates(noise, windowSize), hidden, blank, randomRates, past });

/** The probability that an entry of each depth shows no truth: what `renoise` applies, and what a view is worth. */
export const marginalRates = ({ rates, hidden, randomRates }: Noising): number[] =>
  Array.from(rates, (rate, j) => (j === 0 ? 0 : hidden + (1 - hidden) * rate * (randomRates ? 0.5 : 1)));
