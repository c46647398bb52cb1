import { join } from "node:path";
import type { FloatDType } from "@tensorar/checkpoint";
import { noProgress, type StartProgress, type TensorData } from "@tensorar/core";
import { writeFolderAtomic } from "@tensorar/core/node";
import { chooseEngine } from "../engine/choose-engine";
import { type EngineName, type Schedule, TRAINING_DEFAULTS } from "../settings";
import type { BatchSpecs, TrainingTask } from "../tasks/task";
import { runSteps } from "./loop";
import { BEST, inRunFolder } from "./run-folder";

/** Where and how long to train. */
export interface TrainOptions {
  /** Run folder: results, `recipe.json`, `log.jsonl` and `checkpoints/`. */
  readonly out: string;
  /** Optimizer steps in all. */
  readonly steps: number;
  /** After the warm-up; default 0.001. */
  readonly learningRate?: number;
  /** How it goes on after the warm-up; default `constant`. */
  readonly schedule?: Schedule;
  /** Steps over which the learning rate rises linearly from 0; default 100. */
  readonly warmupSteps?: number;
  /**
   * Batches whose gradients are averaged for one optimizer step; default 1. A step is then as one of a batch that is as many times
   * as large (up to rounding, where a loss is a mean over images), in the memory of one.
   */
  readonly gradientAccumulation?: number;
  /** Steps between checkpoints; default 250. */
  readonly checkpointEvery?: number;
  /** Steps between lines of `log.jsonl`; default 10. */
  readonly logEvery?: number;
  /**
   * Steps between losses on held-out images, which the log then holds (`heldOutLoss`). The result is then the model of the best one,
   * which is kept in `best/` of the run's folder while the training goes on. Default: never.
   */
  readonly validateEvery?: number | undefined;
  /** Ends the training after so many losses on held-out images without a better one; default: never. */
  readonly patience?: number | undefined;
  /** Goes on from the newest checkpoint in `out`; default: no. */
  readonly resume?: boolean;
  /** Removes a run that is in `out`; default: no, it is an error. */
  readonly overwrite?: boolean;
  /** Number format of the result; default float32. Checkpoints always are. */
  readonly precision?: FloatDType;
  /** What computes; default `auto`. */
  readonly engine?: EngineName;
  /** Threads of ONNX Runtime; default: one for each processor. */
  readonly threads?: number;
  /** What decides what is trained: a run is resumed with the same. Default: the task's recipe and the learning rate. */
  readonly recipe?: Readonly<Record<string, unknown>>;
  /** Stops after the step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Shows how far it is; default: nothing is shown. */
  readonly progress?: StartProgress;
  /** Is told which engine runs, and of damaged checkpoints that are passed over. */
  readonly note?: (line: string) => void;
}

/**
 * Trains in a run folder, from the start or from its newest checkpoint, and writes the result there. A run that was stopped or
 * killed continues to the bit as if it had not been, on the same engine and kind of machine. No other process can train in the
 * folder meanwhile.
 *
 * @returns the moving average of the weights, which is the result: the last one, or with `validateEvery` the best
 * @throws TensorARError where a run is in the way (code `exists`), none is to be resumed (`missing`) or another process trains
 *   (`locked`), when a measure is not finite, and for an engine that can't be used; the reason of `signal` when it aborts
 */
export async function train<B extends BatchSpecs>(
  task: TrainingTask<B>,
  options: TrainOptions,
): Promise<Record<string, TensorData>> {
  const settings = { ...TRAINING_DEFAULTS, resume: false, overwrite: false, progress: noProgress, note, ...options };
  const { out, learningRate, schedule, warmupSteps, gradientAccumulation } = settings;
  const { engine, threads, precision = "float32" } = settings;
  const recipe = settings.recipe ?? { ...task.recipe, learningRate, schedule, warmupSteps, gradientAccumulation };
  return inRunFolder(settings, recipe, async () => {
    for (const each of task.notes ?? []) settings.note(each);
    const chosen = await chooseEngine(engine, { note: settings.note, ...(threads !== undefined && { threads }) });
    const onBest = (weights: Record<string, TensorData>) =>
      writeFolderAtomic(join(out, BEST), (dir) => task.save(dir, weights, { precision, recipe }), { replace: true });
    const { signal, validateEvery, patience } = settings;
    const weights = await runSteps(task, { ...settings, signal, validateEvery, patience, onBest }, chosen);
    await task.save(out, weights, { precision, recipe });
    return weights;
  });
}

const note = (): void => {};
