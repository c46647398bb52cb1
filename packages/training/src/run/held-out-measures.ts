import type { TensorData, TensorSpec } from "@tensorar/core";
import type { Engine } from "../engine/engine";
import type { Validation } from "../tasks/task";
import { readLog } from "./run-log";
import { openValidator } from "./validation";

type Weights = Record<string, TensorData>;

export interface HeldOutMeasuresOptions {
  /** Run folder, whose log says what was measured before. */
  readonly out: string;
  readonly steps: number;
  readonly validateEvery: number | undefined;
  readonly patience: number | undefined;
  /** The best weights so far, of a run that is resumed. */
  readonly best: Weights | undefined;
  /** Is told of weights that are better than all before them in this run. */
  readonly onBest: (weights: Weights) => Promise<void>;
  readonly signal: AbortSignal | undefined;
}

/** Losses on held-out images while training. */
export interface HeldOutMeasures {
  /** Measures after these steps, if it is time to. @returns what the log gains */
  at(done: number, weightsNow: () => Promise<Weights>): Promise<Record<string, number> | undefined>;
  /** For the progress line. */
  shown(): string;
  /** The best weights so far. */
  best(): Weights | undefined;
  /** Whether the last losses were as many as `patience` allows without a better one. */
  exhausted(): boolean;
  dispose(): Promise<void>;
}

/** @param specs of the weights */
export async function heldOutMeasures(
  validation: Validation | undefined,
  options: HeldOutMeasuresOptions,
  engine: Engine,
  specs: Readonly<Record<string, TensorSpec>>,
): Promise<HeldOutMeasures> {
  const { out, steps, validateEvery, patience = Number.POSITIVE_INFINITY, signal, onBest } = options;
  if (validateEvery === undefined || !validation) return NONE;
  const validator = await openValidator(validation, engine, specs);
  const losses = (await readLog(out)).flatMap(({ heldOutLoss }) => heldOutLoss ?? []);
  let bestWeights = options.best;
  const lowest = () => Math.min(...losses);
  return {
    async at(done, weightsNow) {
      if (done % validateEvery !== 0 && done !== steps) return undefined;
      const weights = await weightsNow();
      const metrics = await validator.measure(weights, signal);
      const loss = metrics.heldOutLoss!;
      if (loss < lowest()) {
        bestWeights = weights;
        await onBest(weights);
      }
      losses.push(loss);
      return metrics;
    },
    shown: () => (losses.length === 0 ? "" : `, held out ${losses.at(-1)!.toFixed(4)}, at best ${lowest().toFixed(4)}`),
    best: () => bestWeights,
    exhausted: () => losses.length > 0 && losses.length - 1 - losses.indexOf(lowest()) >= patience,
    dispose: () => validator.dispose(),
  };
}

const NONE: HeldOutMeasures = {
  at: async () => undefined,
  shown: () => "",
  best: () => undefined,
  exhausted: () => false,
  dispose: async () => {},
};
