import { TensorARError } from "@tensorar/core";
import type { Feeds } from "@tensorar/onnx";
import type { Engine } from "../engine/engine";
import type { BatchSpecs, TrainingState, TrainingTask } from "../tasks/task";
import { accumulatedSteps } from "./accumulated-steps";
import { numbersOf } from "./metrics";
import { inOrder, SCALAR, scalar, specsOf } from "./state";

/** A training state in an engine, and what moves it by one step. */
export interface Stepper<B extends BatchSpecs> {
  /** Batches that a step reads. */
  readonly batches: number;
  /**
   * One optimizer step.
   * @param next called once for every batch, in their order
   * @param number of the step, from 1
   * @returns measures; those of batches as their means
   */
  step(next: () => Promise<Feeds<B>>, learningRate: number, number: number): Promise<Record<string, number>>;
  current(): Promise<TrainingState>;
  dispose(): Promise<void>;
}

/**
 * Makes a task ready on an engine.
 * @param accumulation batches whose mean gradient is a step's
 * @throws TensorARError where that is no positive whole number
 */
export async function openStepper<B extends BatchSpecs>(
  task: TrainingTask<B>,
  engine: Engine,
  state: TrainingState,
  accumulation: number,
): Promise<Stepper<B>> {
  if (!Number.isInteger(accumulation) || accumulation < 1)
    throw new TensorARError(
      `gradientAccumulation ${accumulation}: it is a number of batches a step; give a whole number from 1`,
    );
  const begun = inOrder(state);
  return accumulation === 1 ? wholeSteps(task, engine, begun) : accumulatedSteps(task, engine, begun, accumulation);
}

/** Gradients and update in one function, so that neither gradients nor weights leave the engine. */
async function wholeSteps<B extends BatchSpecs>(
  task: TrainingTask<B>,
  engine: Engine,
  begun: TrainingState,
): Promise<Stepper<B>> {
  const run = await engine.prepare(
    ({ state, batch, learningRate, step }) => {
      const { gradients, metrics } = task.gradients({ weights: state, batch, step });
      const next = task.update({ state, gradients, learningRate, step });
      return { state: next.state, metrics: { ...metrics, ...next.metrics } };
    },
    { state: specsOf(begun), batch: task.batchSpec, learningRate: SCALAR, step: SCALAR },
    { state: ["state"] },
  );
  await run.setState({ state: begun });
  return {
    batches: 1,
    async step(next, learningRate, number) {
      const batch = await next();
      const { metrics } = await run({ batch, learningRate: scalar(learningRate), step: scalar(number) });
      return numbersOf(metrics);
    },
    current: async () => (await run.getState()).state,
    dispose: () => run.dispose(),
  };
}
