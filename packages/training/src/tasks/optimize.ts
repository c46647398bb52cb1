import { adamW, emaUpdate, lossAndGradients, type Metrics, type Params } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import { TRAINING_DEFAULTS } from "../settings";
import type { BatchSpecs, GradientInputs, Gradients, StepOutputs, TrainingTask, UpdateInputs } from "./task";

/** Options of {@link optimized}. */
export interface OptimizerOptions {
  /** AdamW's decay of matrices; default 0.05. */
  readonly weightDecay?: number;
  /** Largest norm of all gradients together; default 1. */
  readonly clip?: number;
  /** Of the moving average of the weights, in [0, 1); default 0.999. */
  readonly emaDecay?: number;
}

/** Which parameters move, and how fast. */
export interface ParameterRates {
  /** Whether a parameter is left as it is, to the bit; it has no gradient and no moments. Default: none is. */
  readonly isFrozen?: ((name: string) => boolean) | undefined;
  /** Factor of the learning rate at a step, 1 when left out. @param step [] from 1 */
  readonly rateOf?: ((name: string, step: tf.Tensor) => number | tf.Tensor) | undefined;
}

/** How a task trains: its gradients, and what it does with them. */
export type Optimization<B extends BatchSpecs> = Pick<TrainingTask<B>, "gradientsLike" | "gradients" | "update">;

/** Training by AdamW and a moving average of the weights, down a loss. @param forward see `lossAndGradients` */
export function optimized<B extends BatchSpecs, M extends Metrics<M>>(
  options: OptimizerOptions & ParameterRates,
  forward: (params: Params, inputs: GradientInputs<B>) => M,
): Optimization<B> {
  return {
    gradientsLike: (state) => ({ params: state.firstMoment! }),
    gradients: (inputs) => gradientsOf(inputs.weights.params!, options, (params) => forward(params, inputs)),
    update: (inputs) => descend(inputs, options),
  };
}

/** Gradients of the parameters that move, and what was measured on the way. Traceable. @param forward see `lossAndGradients` */
export function gradientsOf<M extends Metrics<M>>(
  params: Params,
  { isFrozen = () => false }: ParameterRates,
  forward: (params: Params) => M,
): Gradients & { readonly metrics: M } {
  const [frozen, moving] = split(params, isFrozen);
  const { metrics, grads } = lossAndGradients(moving, (own) => forward({ ...frozen, ...own }));
  return { gradients: { params: grads }, metrics };
}

/** One step of AdamW against the gradients of `params`, and of the moving average after it. Traceable. */
export function descend(
  { state, gradients, learningRate, step }: UpdateInputs,
  options: OptimizerOptions & ParameterRates,
): StepOutputs {
  const { weightDecay, clip, emaDecay } = { ...TRAINING_DEFAULTS, ...options };
  const { isFrozen = () => false, rateOf } = options;
  const [frozen, moving] = split(state.params!, isFrozen);
  const moments = { firstMoment: state.firstMoment!, secondMoment: state.secondMoment! };
  const next = adamW(moving, gradients.params!, moments, {
    learningRate,
    step,
    betas: [0.9, 0.95],
    eps: 1e-8,
    weightDecay,
    clip,
    rateOf: rateOf && ((name) => rateOf(name, step)),
  });
  const [frozenAverage, average] = split(state.ema!, isFrozen);
  const ema = emaUpdate(average, next.params, emaDecay);
  return {
    state: {
      ...next.state,
      params: { ...cloned(frozen), ...next.params },
      ema: { ...cloned(frozenAverage), ...ema },
    },
    metrics: { gradNorm: next.gradNorm },
  };
}

/** Parameters that are frozen, and those that move. */
function split(params: Params, isFrozen: (name: string) => boolean): [frozen: Params, moving: Params] {
  const of = (frozen: boolean) =>
    Object.fromEntries(Object.entries(params).filter(([name]) => isFrozen(name) === frozen));
  return [of(true), of(false)];
}

/** What is returned is the caller's, so an input that stays as it is can't be. */
const cloned = (params: Params): Params =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, tf.clone(value)]));
