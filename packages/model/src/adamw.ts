import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "./parameters";
import { tidy } from "./tidy";

/** Running moments, keyed like the parameters. */
export interface AdamWState {
  readonly firstMoment: Params;
  readonly secondMoment: Params;
}

/** The hyper-parameters of a step. */
export interface AdamWOptions {
  /** Scalar tensor, so that a traced step can change it. */
  readonly learningRate: tf.Tensor;
  /** Scalar tensor: number of this step, from 1. */
  readonly step: tf.Tensor;
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** Decoupled decay of tensors of rank 2 and more. */
  readonly weightDecay: number;
  /** Largest norm of all gradients together; larger ones are scaled down to it. */
  readonly clip: number;
  /**
   * Factor of the learning rate of a parameter, 1 when left out: a scalar tensor where it changes with the step. A parameter whose
   * factor is 0 stays to the bit, and its gradient does not count for the clipped norm; its moments go on.
   */
  readonly rateOf?: ((name: string) => number | tf.Tensor) | undefined;
}

/** Zero moments for these parameters; the caller owns them. */
export function initAdamW(params: Params): AdamWState {
  const zeros = () => Object.fromEntries(Object.entries(params).map(([name, value]) => [name, tf.zerosLike(value)]));
  return { firstMoment: zeros(), secondMoment: zeros() };
}

/**
 * One step of AdamW with gradient clipping; pure: nothing is changed in place, inputs stay the caller's.
 * Source: Loshchilov & Hutter 2019, as in `torch.optim.AdamW` and `clip_grad_norm_`; decay groups as in LlamaGen
 * `autoregressive/train/train_c2i.py`.
 *
 * @returns new parameters, new moments, and the norm of all gradients before clipping
 * @throws TensorARError when a parameter has no gradient or no moments
 */
export function adamW(
  params: Params,
  grads: Params,
  state: AdamWState,
  options: AdamWOptions,
): { params: Params; state: AdamWState; gradNorm: tf.Scalar } {
  return tidy(() => {
    const names = Object.keys(params).sort(); // the norm is a sum, whose order must not depend on who made the record
    const rows = names.map((name) => ({
      value: params[name]!,
      grad: entry(grads, name, "gradient"),
      first: entry(state.firstMoment, name, "first moment"),
      second: entry(state.secondMoment, name, "second moment"),
    }));
    const { rateOf } = options;
    const rates = names.map((name) => rateOf?.(name) ?? 1);
    const squares = rows.map(({ grad }) => tf.square(grad));
    const gradNorm = tf.sqrt(tf.addN(squares.map((square, i) => counted(tf.sum(square), rates[i]!)))) as tf.Scalar;
    const scale = tf.minimum(tf.div(options.clip, tf.add(gradNorm, 1e-6)), 1); // of every gradient
    const factors = stepFactors(scale, options);
    const updated = rows.map((row, i) => updateOne(row, squares[i]!, atRate(factors, rates[i]!), options));
    const record = (key: "value" | "first" | "second"): Params =>
      Object.fromEntries(names.map((name, i) => [name, updated[i]![key]]));
    return {
      params: record("value"),
      state: { firstMoment: record("first"), secondMoment: record("second") },
      gradNorm,
    };
  });
}

/** A part of the norm, 0 where the parameter does not move. */
const counted = (square: tf.Tensor, rate: number | tf.Tensor): tf.Tensor =>
  rate === 1 ? square : tf.mul(square, tf.cast(tf.greater(rate, 0), "float32"));

/** Factors of a parameter with a learning rate of its own. */
function atRate(factors: StepFactors, rate: number | tf.Tensor): StepFactors {
  if (rate === 1) return factors;
  return { ...factors, rate: tf.mul(factors.rate, rate), keep: tf.sub(1, tf.mul(tf.sub(1, factors.keep), rate)) };
}

function entry(record: Params, name: string, what: string): tf.Tensor {
  const tensor = record[name];
  if (tensor === undefined) {
    throw new TensorARError(`adamW: parameter "${name}" has no ${what}; leave it out of the parameters or pass one`);
  }
  return tensor;
}

/** Scalars of a step, computed once and not for every parameter. */
interface StepFactors {
  /** (1 - β1) · clip scale */
  readonly firstGain: tf.Tensor;
  /** (1 - β2) · clip scale² */
  readonly secondGain: tf.Tensor;
  /** √(1 - β2^t) · ε: ε as it stands after both sides of the fraction are multiplied by √(1 - β2^t). */
  readonly eps: tf.Tensor;
  /** learning rate · √(1 - β2^t) / (1 - β1^t) */
  readonly rate: tf.Tensor;
  /** 1 - learning rate · weight decay */
  readonly keep: tf.Tensor;
}

function stepFactors(scale: tf.Tensor, { learningRate, step, betas, eps, weightDecay }: AdamWOptions): StepFactors {
  const [beta1, beta2] = betas;
  const count = tf.cast(step, "float32");
  // β^t as exp(t · ln β): the base is known when tracing, the step is not.
  const correction = (beta: number) => tf.sub(1, tf.exp(tf.mul(count, Math.log(beta))));
  const root = tf.sqrt(correction(beta2));
  return {
    firstGain: tf.mul(scale, 1 - beta1),
    secondGain: tf.mul(tf.square(scale), 1 - beta2),
    eps: tf.mul(root, eps),
    rate: tf.div(tf.mul(learningRate, root), correction(beta1)),
    keep: tf.sub(1, tf.mul(learningRate, weightDecay)),
  };
}

interface Row {
  readonly value: tf.Tensor;
  readonly grad: tf.Tensor;
  readonly first: tf.Tensor;
  readonly second: tf.Tensor;
}

function updateOne(row: Row, square: tf.Tensor, factors: StepFactors, { betas, weightDecay }: AdamWOptions) {
  const first = tf.add(tf.mul(row.first, betas[0]), tf.mul(row.grad, factors.firstGain));
  const second = tf.add(tf.mul(row.second, betas[1]), tf.mul(square, factors.secondGain));
  const change = tf.mul(tf.div(first, tf.add(tf.sqrt(second), factors.eps)), factors.rate);
  const decays = weightDecay > 0 && row.value.rank >= 2;
  const value = tf.sub(decays ? tf.mul(row.value, factors.keep) : row.value, change);
  return { value, first, second };
}
