import { adamW, emaUpdate, lossAndGradients, type Metrics, type Params } from "@tensorar/model";
import type * as tf from "@tensorflow/tfjs-core";
import { TRAINING_DEFAULTS } from "../settings";
import type { StepInputs, StepOutputs } from "./task";

/** Options of {@link optimize}. */
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

/** One step of AdamW down a loss, and of the moving average after it. Traceable. @param forward see `lossAndGradients` */
export function optimize<M extends Metrics<M>>(
  { state, learningRate, step }: Pick<StepInputs, "state" | "learningRate" | "step">,
  options: OptimizerOptions & ParameterRates,
  forward: (params: Params) => M,
): StepOutputs {
  const { weightDecay, clip, emaDecay } = { ...TRAINING_DEFAULTS, ...options };
  const { isFrozen = () => false, rateOf } = options;
  const [frozen, moving] = split(state.params!, isFrozen);
  const { metrics, grads } = lossAndGradients(moving, (params) => forward({ ...frozen, ...params }));
  const moments = { firstMoment: state.firstMoment!, secondMoment: state.secondMoment! };
  const next = adamW(moving, grads, moments, {
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
    state: { ...next.state, params: { ...frozen, ...next.params }, ema: { ...frozenAverage, ...ema } },
    metrics: { ...metrics, gradNorm: next.gradNorm },
  };
}

/** Parameters that are frozen, and those that move. */
function split(params: Params, isFrozen: (name: string) => boolean): [frozen: Params, moving: Params] {
  const of = (frozen: boolean) =>
    Object.fromEntries(Object.entries(params).filter(([name]) => isFrozen(name) === frozen));
  return [of(true), of(false)];
}
