import { type Progress, type StartProgress, TensorARError, type TensorData } from "@tensorar/core";
import type { Feeds } from "@tensorar/onnx";
import type { Engine } from "../engine/engine";
import type { Schedule } from "../settings";
import type { BatchSpecs, TrainingTask } from "../tasks/task";
import { loadNewestCheckpoint, saveCheckpoint, shapesOf } from "./checkpoint";
import { type HeldOutMeasures, heldOutMeasures } from "./held-out-measures";
import { learningRateAt } from "./learning-rate";
import { appendLog, type LogEntry, rewindLog } from "./run-log";
import { specsOf } from "./state";
import { openStepper, type Stepper } from "./stepper";

export interface LoopOptions {
  /** Run folder, which is there already: `log.jsonl` and `checkpoints/` live here. */
  readonly out: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly schedule: Schedule;
  readonly warmupSteps: number;
  /** Batches whose mean gradient is a step's. */
  readonly gradientAccumulation: number;
  readonly checkpointEvery: number;
  readonly logEvery: number;
  /** Steps between losses on held-out images. */
  readonly validateEvery: number | undefined;
  /** Losses on held-out images without a better one, after which training ends. */
  readonly patience: number | undefined;
  /** Is told of weights that are better on held-out images than all before them in this run. */
  readonly onBest: (weights: Record<string, TensorData>) => Promise<void>;
  readonly resume: boolean;
  readonly signal: AbortSignal | undefined;
  readonly progress: StartProgress;
  /** Is told what happens besides. */
  readonly note: (line: string) => void;
}

/**
 * Trains from the newest checkpoint (with `resume`) or from the start, and returns the moving average of the weights: the one that was
 * best on held-out images where they are measured, or else the last.
 * Every step is a function of the state and its number alone, so an interrupted run continues bit for bit.
 *
 * @throws TensorARError when a measure is not finite, and the reason of `signal` after it aborted (a checkpoint is written
 *   first)
 */
export async function runSteps<B extends BatchSpecs>(
  task: TrainingTask<B>,
  options: LoopOptions,
  engine: Engine,
): Promise<Record<string, TensorData>> {
  if (options.validateEvery !== undefined && !task.validation)
    throw new TensorARError(
      `validateEvery ${options.validateEvery}: no images are held out for ${task.title}; leave it out`,
    );
  const { state, done, best } = await begin(task, options);
  const stepper = await openStepper(task, engine, state, options.gradientAccumulation);
  const measures = await heldOutMeasures(task.validation, { ...options, best }, engine, specsOf(state).ema!);
  const progress = options.progress(task.title, options.steps, "steps", done);
  try {
    options.signal?.throwIfAborted();
    await goOn(task, options, { stepper, measures, progress }, done);
    return measures.best() ?? (await stepper.current()).ema!;
  } finally {
    progress.stop();
    await stepper.dispose();
    await measures.dispose();
  }
}

interface Running<B extends BatchSpecs> {
  readonly stepper: Stepper<B>;
  readonly measures: HeldOutMeasures;
  readonly progress: Progress;
}

/** The steps after `start`. */
async function goOn<B extends BatchSpecs>(
  task: TrainingTask<B>,
  options: LoopOptions,
  { stepper, measures, progress }: Running<B>,
  start: number,
): Promise<void> {
  const { out, steps, checkpointEvery, logEvery, signal } = options;
  let saved = start === 0 ? undefined : start;
  const checkpoint = async (done: number) => {
    await saveCheckpoint(out, { step: done, state: await stepper.current(), best: measures.best() }, saved);
    saved = done;
  };
  const nextBatch = readAhead(task, start * stepper.batches, steps * stepper.batches);
  for (let done = start; done < steps && !measures.exhausted(); ) {
    const begun = performance.now();
    const learningRate = learningRateAt(done + 1, options);
    const measured = await stepper.step(nextBatch, learningRate, done + 1);
    done++;
    const metrics = { loss: Number.NaN, ...measured }; // a loss is needed
    expectFinite(metrics, `${task.title}: step ${done}`, saved, options);
    const ms = Math.round(performance.now() - begun);
    const heldOut = await measures.at(done, async () => (await stepper.current()).ema!);
    if (heldOut) expectFinite(heldOut, `${task.title}: step ${done}`, saved, options);
    const entry: LogEntry = { step: done, ...metrics, ...heldOut, learningRate, ms };
    progress.update(done, `loss ${entry.loss.toFixed(4)}${measures.shown()}`);
    const stopped = signal?.aborted ?? false;
    const last = done === steps || measures.exhausted();
    if (done % logEvery === 0 || last || heldOut) await appendLog(out, entry);
    if (stopped || done % checkpointEvery === 0 || last) await checkpoint(done);
    if (last && done < steps) options.note(`no better loss on held-out images; stopped at step ${done}`);
    if (stopped && !last) {
      options.note(`stopped at step ${done}; continue with --resume`);
      signal?.throwIfAborted();
    }
  }
}

/** Batches one after another, each read while the one before it is computed with. */
function readAhead<B extends BatchSpecs>(task: TrainingTask<B>, start: number, end: number): () => Promise<Feeds<B>> {
  let index = start;
  let next = start < end ? task.batch(start) : undefined;
  return async () => {
    const batch = await next!;
    index++;
    if (index < end) {
      next = task.batch(index);
      next.catch(() => undefined); // reported when it is needed
    }
    return batch;
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
  return { state: saved?.state ?? initial, done, best: saved?.best };
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
