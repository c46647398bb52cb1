import { mkdir } from "node:fs/promises";
import type { TensorData } from "@tensorar/checkpoint";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import type * as tf from "@tensorflow/tfjs-core";
import type { Engine, InputSpec, Nested } from "../engine/engine";
import { loadNewestCheckpoint, saveCheckpoint, type TrainingState } from "./checkpoint";
import { appendLog, type LogEntry, rewindLog } from "./run-log";

/** What a training step sees: state by purpose, one batch, and the two scalars that change with the step. */
export interface StepInputs {
  readonly state: Record<string, Record<string, tf.Tensor>>;
  readonly batch: Record<string, Nested<tf.Tensor>>;
  readonly learningRate: tf.Scalar;
  /** 1 at the first step: what Adam's bias correction needs. */
  readonly step: tf.Scalar;
}

export interface StepOutputs {
  readonly state: Record<string, Record<string, tf.Tensor>>;
  /** Scalars or short vectors to log; `loss` is watched for NaN. */
  readonly measures: Record<string, tf.Tensor>;
}

/** Something to train: a pure step, its first state and its batches, which depend on nothing but the step's number. */
export interface TrainingTask {
  readonly title: string;
  readonly batchSpec: Record<string, Nested<InputSpec>>;
  initialState(): TrainingState;
  step(inputs: StepInputs): StepOutputs;
  batch(step: number): Promise<Record<string, Nested<TensorData>>>;
}

export interface TrainingOptions {
  /** Run folder: `log.jsonl` and `checkpoints/` live here. */
  readonly out: string;
  readonly steps: number;
  readonly learningRate: number;
  /** Steps over which the learning rate rises linearly from 0; constant afterwards, as in the base model's recipe. */
  readonly warmupSteps: number;
  readonly checkpointEvery: number;
  readonly logEvery: number;
  readonly resume: boolean;
}

const scalar = (value: number): TensorData => ({ dtype: "float32", shape: [], data: Float32Array.of(value) });

const specOf = ({ dtype, shape }: TensorData): InputSpec => ({ dtype: dtype as InputSpec["dtype"], shape });

function measuresOf(outputs: Record<string, Nested<TensorData>>): Record<string, number> {
  const measures = outputs.measures as Record<string, TensorData>;
  return Object.fromEntries(
    Object.entries(measures).flatMap(([name, { shape, data }]) =>
      shape.length === 0
        ? [[name, Number(data[0])]]
        : Array.from(data as Float32Array, (value, i) => [`${name}${i}`, value]),
    ),
  );
}

/**
 * Trains from the newest checkpoint (with `resume`) or from the start, and returns the final state.
 * Every step is a function of the state and its number alone, so an interrupted run continues bit for bit.
 *
 * @throws TensorARError when the loss is not finite, or after `signal` aborted (a checkpoint is written first)
 */
export async function train(
  task: TrainingTask,
  options: TrainingOptions,
  engine: Engine,
  signal: AbortSignal,
): Promise<TrainingState> {
  await mkdir(options.out, { recursive: true });
  const saved = options.resume ? await loadNewestCheckpoint(options.out) : undefined;
  const start = saved?.step ?? 0;
  const state = saved?.state ?? task.initialState();
  await rewindLog(options.out, start);

  const specs = {
    state: Object.fromEntries(
      Object.entries(state).map(([purpose, record]) => [
        purpose,
        Object.fromEntries(Object.entries(record).map(([name, t]) => [name, specOf(t)])),
      ]),
    ),
    batch: task.batchSpec as Record<string, Nested<InputSpec>>,
    learningRate: specOf(scalar(0)),
    step: specOf(scalar(0)),
  };
  const step = await engine.prepare(task.step as never, specs, { state: ["state"] });
  await step.setState({ state });
  const checkpoint = async (done: number) =>
    saveCheckpoint(options.out, { step: done, state: (await step.getState()).state as TrainingState });

  const progress = startProgress(task.title, options.steps, "steps", start);
  try {
    for (let done = start; done < options.steps; ) {
      const begun = performance.now();
      const warm = Math.min(1, (done + 1) / Math.max(1, options.warmupSteps));
      const learningRate = options.learningRate * warm;
      const outputs = await step({
        batch: await task.batch(done),
        learningRate: scalar(learningRate),
        step: scalar(done + 1),
      });
      done++;
      const entry: LogEntry = {
        step: done,
        ...measuresOf(outputs),
        learningRate,
        ms: Math.round(performance.now() - begun),
      };
      if (!Number.isFinite(entry.loss)) {
        throw new TensorARError(
          `${task.title}: loss is ${entry.loss} at step ${done}; lower learningRate (${options.learningRate}) and resume from the last checkpoint in ${options.out}`,
        );
      }
      progress.update(done, `loss ${entry.loss!.toFixed(4)}`);
      if (done % options.logEvery === 0 || done === options.steps) await appendLog(options.out, entry);
      if (signal.aborted) {
        await checkpoint(done);
        throw new TensorARError(`stopped at step ${done}; continue with --resume`);
      }
      if (done % options.checkpointEvery === 0 || done === options.steps) await checkpoint(done);
    }
    return (await step.getState()).state as TrainingState;
  } finally {
    progress.stop();
    await step.dispose();
  }
}
