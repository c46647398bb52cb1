/** How the learning rate goes on after the warm-up: as it is, or down to 0 at the last step along half a cosine. */
export const SCHEDULES = ["constant", "cosine"] as const;

/** One of {@link SCHEDULES}. */
export type Schedule = (typeof SCHEDULES)[number];

export interface RateOptions {
  /** After the warm-up. */
  readonly learningRate: number;
  readonly schedule: Schedule;
  /** Steps over which the rate rises linearly from 0. */
  readonly warmupSteps: number;
  /** Steps in all. */
  readonly steps: number;
}

/** The learning rate of a step, from 1. */
export function learningRateAt(step: number, { learningRate, schedule, warmupSteps, steps }: RateOptions): number {
  if (step < warmupSteps) return learningRate * (step / warmupSteps);
  if (schedule === "constant") return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  return (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
}
