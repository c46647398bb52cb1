import type { TensorData } from "@tensorar/checkpoint";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import type * as tf from "@tensorflow/tfjs-core";
import type { Engine, InputSpec, Nested } from "../engine/engine";
import { loadNewestCheckpoint, saveCheckpoint, shapesOf, type TrainingState } from "./checkpoint";
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

/** A state in its one order, that of the names: sums over it are the same whether it was made or loaded. */
const inOrder = (state: TrainingState): TrainingState => sorted(state, (record) => sorted(record, (tensor) => tensor));

const sorted = <In, Out>(record: Readonly<Record<string, In>>, each: (value: In) => Out): Record<string, Out> =>
  Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((name) => [name, each(record[name]!)]),
  );

const specsOf = (state: TrainingState): Record<string, Nested<InputSpec>> =>
  sorted(state, (record) => sorted(record, specOf));

/**
 * Trains from the newest checkpoint (with `resume`) or from the start, and returns the final state.
 * Every step is a function of the state and its number alone, so an interrupted run continues bit for bit.
 *
 * @param options.out is there already
 * @throws TensorARError when a measure is not finite, and the reason of `signal` after it aborted (a checkpoint is written
 *   first)
 */
export async function train(
  task: TrainingTask,
  options: TrainingOptions,
  engine: Engine,
  signal: AbortSignal,
): Promise<TrainingState> {
  const { state, done: start } = await begin(task, options);
  const specs = {
    state: specsOf(state),
    batch: task.batchSpec as Record<string, Nested<InputSpec>>,
    learningRate: specOf(scalar(0)),
    step: specOf(scalar(0)),
  };
  const step = await engine.prepare(task.step as never, specs, { state: ["state"] });
  await step.setState({ state });
  let saved = start === 0 ? undefined : start;
  const checkpoint = async (done: number) => {
    await saveCheckpoint(options.out, { step: done, state: (await step.getState()).state as TrainingState }, saved);
    saved = done;
  };

  const progress = startProgress(task.title, options.steps, "steps", start);
  try {
    signal.throwIfAborted();
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
      const measures = measuresOf(outputs);
      expectFinite(measures, `${task.title}: step ${done}`, saved, options);
      const ms = Math.round(performance.now() - begun);
      const entry = { step: done, ...measures, learningRate, ms } as unknown as LogEntry; // with a loss, which every task has
      progress.update(done, `loss ${entry.loss.toFixed(4)}`);
      if (done % options.logEvery === 0 || done === options.steps) await appendLog(options.out, entry);
      if (signal.aborted || done % options.checkpointEvery === 0 || done === options.steps) await checkpoint(done);
      if (signal.aborted && done < options.steps) {
        warn(`stopped at step ${done}; continue with --resume`);
        signal.throwIfAborted();
      }
    }
    return (await step.getState()).state as TrainingState;
  } finally {
    progress.stop();
    await step.dispose();
  }
}

const warn = (message: string): void => console.error(message);

/** The state that training goes on from, and the steps that led to it. */
async function begin(task: TrainingTask, { out, steps, resume }: TrainingOptions) {
  const initial = task.initialState();
  const saved = resume ? await loadNewestCheckpoint(out, shapesOf(initial), warn) : undefined;
  const done = saved?.step ?? 0;
  if (done > steps)
    throw new TensorARError(`${out} has done ${done} steps already, more than --steps ${steps}; give as many at least`);
  await rewindLog(out, done, warn);
  return { state: inOrder(saved?.state ?? initial), done };
}

/** A state that gave such measures is never saved: it would be resumed from for ever. */
function expectFinite(
  measures: Record<string, number>,
  where: string,
  saved: number | undefined,
  { out, learningRate }: TrainingOptions,
): void {
  const bad = Object.entries(measures).filter(([, value]) => !Number.isFinite(value));
  if (bad.length === 0) return;
  const terms = bad.map(([name, value]) => `${name} is ${value}`).join(", ");
  const kept = saved === undefined ? "nothing was saved before" : `the checkpoint of step ${saved} in ${out} is good`;
  throw new TensorARError(
    `${where}: ${terms}; ${kept}; start anew with a lower --learning-rate (it is ${learningRate}) or --clip`,
  );
}
