import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../engine/engine";
import type { BatchSpecs, StepState, TrainingState, TrainingTask } from "../tasks/task";
import { numbersOf } from "./metrics";
import { inOrder, SCALAR, scalar, specsOf } from "./state";
import type { Stepper } from "./stepper";

/**
 * Gradients batch by batch, whose mean stays in the engine, then one update: activations take the memory of one batch. Weights
 * are kept here between the two, the rest of the state in the engine.
 * @param count batches a step
 */
export async function accumulatedSteps<B extends BatchSpecs>(
  task: TrainingTask<B>,
  engine: Engine,
  begun: TrainingState,
  count: number,
): Promise<Stepper<B>> {
  const like = inOrder(task.gradientsLike(begun));
  const parts = divided(begun, Object.keys(like));
  const gradients = await prepareGradients(task, engine, { weights: parts.weights, like, count });
  const update = await prepareUpdate(task, engine, { ...parts, like });
  await gradients.setState({ mean: like });
  await update.setState({ rest: parts.rest });
  let { weights } = parts;
  return {
    batches: count,
    async step(next, learningRate, number) {
      const step = scalar(number);
      const means: Record<string, number> = {};
      for (let i = 0; i < count; i++) {
        const { metrics } = await gradients({ weights, batch: await next(), step, kept: scalar(i === 0 ? 0 : 1) });
        for (const [name, value] of Object.entries(numbersOf(metrics)))
          means[name] = (means[name] ?? 0) + value / count;
      }
      const { mean } = await gradients.getState();
      const updated = await update({ weights, gradients: mean, learningRate: scalar(learningRate), step });
      weights = updated.weights;
      return { ...means, ...numbersOf(updated.metrics) };
    },
    current: async () => ({ ...weights, ...(await update.getState()).rest }),
    dispose: async () => {
      await Promise.all([gradients.dispose(), update.dispose()]);
    },
  };
}

/** The sum so far of `1 / count` of each batch's gradients; `kept` is 0 at the first batch of a step, where it begins anew, and then 1. */
function prepareGradients<B extends BatchSpecs>(
  task: TrainingTask<B>,
  engine: Engine,
  { weights, like, count }: { readonly weights: TrainingState; readonly like: TrainingState; readonly count: number },
) {
  return engine.prepare(
    ({ weights, mean, batch, step, kept }) => {
      const { gradients, metrics } = task.gradients({ weights, batch, step });
      const added = mapState(gradients, (gradient, record, name) =>
        tf.add(tf.mul(mean[record]![name]!, kept), tf.mul(gradient, 1 / count)),
      );
      return { mean: added, metrics };
    },
    { weights: specsOf(weights), mean: specsOf(like), batch: task.batchSpec, step: SCALAR, kept: SCALAR },
    { state: ["mean"] },
  );
}

function prepareUpdate<B extends BatchSpecs>(
  task: TrainingTask<B>,
  engine: Engine,
  parts: { readonly weights: TrainingState; readonly rest: TrainingState; readonly like: TrainingState },
) {
  const names = Object.keys(parts.like);
  return engine.prepare(
    ({ weights, rest, gradients, learningRate, step }) => {
      const { state, metrics } = task.update({ state: { ...weights, ...rest }, gradients, learningRate, step });
      return { ...divided(state, names), metrics };
    },
    {
      weights: specsOf(parts.weights),
      rest: specsOf(parts.rest),
      gradients: specsOf(parts.like),
      learningRate: SCALAR,
      step: SCALAR,
    },
    { state: ["rest"] },
  );
}

/** The records of a state of these names, and the others. */
function divided<Tensors>(
  state: Readonly<Record<string, Tensors>>,
  names: readonly string[],
): { readonly weights: Record<string, Tensors>; readonly rest: Record<string, Tensors> } {
  const of = (own: boolean) =>
    Object.fromEntries(Object.entries(state).filter(([name]) => names.includes(name) === own));
  return { weights: of(true), rest: of(false) };
}

const mapState = (state: StepState, each: (tensor: tf.Tensor, record: string, name: string) => tf.Tensor): StepState =>
  Object.fromEntries(
    Object.entries(state).map(([record, tensors]) => [
      record,
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, each(tensor, record, name)])),
    ]),
  );
