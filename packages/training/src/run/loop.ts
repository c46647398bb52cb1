import { type StartProgress, TensorARError, type TensorData, type TensorSpec } from "@tensorar/core";
import type { Feeds } from "@tensorar/onnx";
import type { Engine } from "../engine/engine";
import type { BatchSpecs, TrainingState, TrainingTask } from "../tasks/task";
import { loadNewestCheckpoint, saveCheckpoint, shapesOf } from "./checkpoint";
import { numbersOf } from "./metrics";
import { appendLog, type LogEntry, readLog, rewindLog } from "./run-log";
import { openValidator } from "./validation";

export interface LoopOptions {
  /** Run folder, which is there already: `log.jsonl` and `checkpoints/` live here. */
  readonly out: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly checkpointEvery: number;
  readonly logEvery: number;
  /** Steps between losses on held-out images. */
  readonly validateEvery: number | undefined;
  /** Is told of weights that are better on held-out images than all before them in this run. */
  readonly onBest: (weights: Record<string, TensorData>) => Promise<void>;
  readonly resume: boolean;
  readonly signal: AbortSignal | undefined;
  readonly progress: StartProgress;
  /** Is told what happens besides. */
  readonly note: (line: string) => void;
}

const SCALAR: TensorSpec = { dtype: "float32", shape: [] };

const scalar = (value: number): TensorData => ({ dtype: "float32", shape: [], data: Float32Array.of(value) });

/** A state in its one order, that of the names: sums over it are the same whether it was made or loaded. */
const inOrder = (state: TrainingState): TrainingState => sorted(state, (record) => sorted(record, (tensor) => tensor));

const sorted = <In, Out>(record: Readonly<Record<string, In>>, each: (value: In) => Out): Record<string, Out> =>
  Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((name) => [name, each(record[name]!)]),
  );

const specsOf = (state: TrainingState): Record<string, Record<string, TensorSpec>> =>
  sorted(state, (record) => sorted(record, ({ shape }) => ({ dtype: "float32", shape })));

/**
 * Trains from the newest checkpoint (with `resume`) or from the start, and returns the final state.
 * Every step is a function of the state and its number alone, so an interrupted run continues bit for bit.
 *
 * @throws TensorARError when a measure is not finite, and the reason of `signal` after it aborted (a checkpoint is written
 *   first)
 */
export async function runSteps<B extends BatchSpecs>(
  task: TrainingTask<B>,
  options: LoopOptions,
  engine: Engine,
): Promise<TrainingState> {
  const { out, steps, warmupSteps, checkpointEvery, logEvery, signal } = options;
  if (options.validateEvery !== undefined && !task.validation)
    throw new TensorARError(
      `validateEvery ${options.validateEvery}: no images are held out for ${task.title}; leave it out`,
    );
  const { state, done: start } = await begin(task, options);
  const specs = { state: specsOf(state), batch: task.batchSpec, learningRate: SCALAR, step: SCALAR };
  const step = await engine.prepare((inputs) => task.step(inputs), specs, { state: ["state"] });
  await step.setState({ state });
  const validate = await heldOutMeasures(task, options, engine, specs.state.ema!);
  let saved = start === 0 ? undefined : start;
  const checkpoint = async (done: number) => {
    await saveCheckpoint(out, { step: done, state: (await step.getState()).state }, saved);
    saved = done;
  };

  const progress = options.progress(task.title, steps, "steps", start);
  try {
    signal?.throwIfAborted();
    const batches = readAhead(task, start, steps);
    for (let done = start; done < steps; ) {
      const begun = performance.now();
      const learningRate = options.learningRate * Math.min(1, (done + 1) / Math.max(1, warmupSteps));
      const outputs = await step({
        batch: await batches(done),
        learningRate: scalar(learningRate),
        step: scalar(done + 1),
      });
      done++;
      const metrics = { loss: Number.NaN, ...numbersOf(outputs.metrics) }; // a loss is needed
      expectFinite(metrics, `${task.title}: step ${done}`, saved, options);
      const ms = Math.round(performance.now() - begun);
      const heldOut = await validate.at(done, async () => (await step.getState()).state.ema!);
      const entry: LogEntry = { step: done, ...metrics, ...heldOut, learningRate, ms };
      progress.update(done, `loss ${entry.loss.toFixed(4)}${validate.shown()}`);
      const stopped = signal?.aborted ?? false;
      if (done % logEvery === 0 || done === steps || heldOut) await appendLog(out, entry);
      if (stopped || done % checkpointEvery === 0 || done === steps) await checkpoint(done);
      if (stopped && done < steps) {
        options.note(`stopped at step ${done}; continue with --resume`);
        signal?.throwIfAborted();
      }
    }
    return (await step.getState()).state;
  } finally {
    progress.stop();
    await step.dispose();
    await validate.dispose();
  }
}

/** Batches one after another, each read while the step before it runs. */
function readAhead<B extends BatchSpecs>(task: TrainingTask<B>, start: number, end: number) {
  let next = start < end ? task.batch(start) : undefined;
  return async (step: number): Promise<Feeds<B>> => {
    const batch = await next!;
    if (step + 1 < end) {
      next = task.batch(step + 1);
      next.catch(() => undefined); // reported when it is needed
    }
    return batch;
  };
}

/** Metrics held-out images every so many steps, and passes the best weights on. */
async function heldOutMeasures<B extends BatchSpecs>(
  { validation }: TrainingTask<B>,
  { out, steps, validateEvery, signal, onBest }: LoopOptions,
  engine: Engine,
  specs: Readonly<Record<string, TensorSpec>>,
) {
  if (validateEvery === undefined || !validation)
    return { at: async () => undefined, shown: () => "", dispose: async () => {} };
  const validator = await openValidator(validation, engine, specs);
  const known = (await readLog(out)).flatMap(({ heldOutLoss }) => heldOutLoss ?? []);
  let [best, last] = [Math.min(...known), known.at(-1)];
  return {
    async at(done: number, weightsNow: () => Promise<Record<string, TensorData>>) {
      if (done % validateEvery !== 0 && done !== steps) return undefined;
      const weights = await weightsNow();
      const metrics = await validator.measure(weights, signal);
      last = metrics.heldOutLoss!;
      if (last < best) {
        best = last;
        await onBest(weights);
      }
      return metrics;
    },
    shown: () => (last === undefined ? "" : `, held out ${last.toFixed(4)}, at best ${best.toFixed(4)}`),
    dispose: () => validator.dispose(),
  };
}

/** The state that training goes on from, and the steps that led to it. */
async function begin<B extends BatchSpecs>(task: TrainingTask<B>, { out, steps, resume, note }: LoopOptions) {
  const initial = task.initialState();
  const saved = resume ? await loadNewestCheckpoint(out, shapesOf(initial), note) : undefined;
  const done = saved?.step ?? 0;
  if (done > steps)
    throw new TensorARError(`${out} has done ${done} steps already, more than --steps ${steps}; give as many at least`);
  await rewindLog(out, done, note);
  return { state: inOrder(saved?.state ?? initial), done };
}

/** A state that gave such metrics is never saved: it would be resumed from for ever. */
function expectFinite(
  metrics: Record<string, number>,
  where: string,
  saved: number | undefined,
  { out, learningRate }: LoopOptions,
): void {
  const bad = Object.entries(metrics).filter(([, value]) => !Number.isFinite(value));
  if (bad.length === 0) return;
  const terms = bad.map(([name, value]) => `${name} is ${value}`).join(", ");
  const kept = saved === undefined ? "nothing was saved before" : `the checkpoint of step ${saved} in ${out} is good`;
  throw new TensorARError(
    `${where}: ${terms}; ${kept}; start anew with a lower --learning-rate (it is ${learningRate}) or --clip`,
  );
}
