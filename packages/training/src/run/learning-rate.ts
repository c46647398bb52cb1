import type { Schedule } from "../settings";

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
