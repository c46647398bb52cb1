import { adamW, emaUpdate, lossAndGradients, type Metrics, type Params } from "@tensorar/model";
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

/** One step of AdamW down a loss, and of the moving average after it. Traceable. @param forward see `lossAndGradients` */
export function optimize<M extends Metrics<M>>(
  { state, learningRate, step }: Pick<StepInputs, "state" | "learningRate" | "step">,
  options: OptimizerOptions,
  forward: (params: Params) => M,
): StepOutputs {
  const { weightDecay, clip, emaDecay } = { ...TRAINING_DEFAULTS, ...options };
  const { metrics, grads } = lossAndGradients(state.params!, forward);
  const moments = { firstMoment: state.firstMoment!, secondMoment: state.secondMoment! };
  const next = adamW(state.params!, grads, moments, {
    learningRate,
    step,
    betas: [0.9, 0.95],
    eps: 1e-8,
    weightDecay,
    clip,
  });
  return {
    state: { params: next.params, ...next.state, ema: emaUpdate(state.ema!, next.params, emaDecay) },
    metrics: { ...metrics, gradNorm: next.gradNorm },
  };
}
