import { PAD } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { ForwardInputs, TensorARModel } from "./attach";
import type { Condition } from "./backbone";
import type { Params } from "./parameters";
import { expectShape } from "./shapes";
import { joinTokens } from "./sub-tokens";
import { tidy } from "./tidy";

// R rows · T tokens · k window · V codes

/**
 * Draws one code from every row of logits by inverting its cumulative distribution. Traceable: randomness comes in as
 * `uniforms`. The caller owns the result.
 *
 * @param logits [..., V]
 * @param uniforms float32 [...] in [0, 1)
 * @returns int32 [...] in [0, V)
 */
export function sampleFromLogits(logits: tf.Tensor, uniforms: tf.Tensor): tf.Tensor {
  return tidy(() => {
    expectShape("sampleFromLogits", "uniforms", uniforms, logits.shape.slice(0, -1));
    const cumulative = tf.cumsum(tf.softmax(logits), logits.rank - 1); // [..., V]; tfjs takes no negative axis here
    // Rounding may leave the last sum below 1. Scaled by it, a uniform below 1 always stays below the last sum.
    const thresholds = tf.mul(uniforms, tf.max(cumulative, -1));
    return tf.sum(tf.cast(tf.lessEqual(cumulative, tf.expandDims(thresholds, -1)), "int32"), -1);
  });
}

/** What draws of a model's own predictions are made of. */
export interface SelfWindowsInputs<C extends Condition = tf.Tensor> extends ForwardInputs<C> {
  /** float32 [R, T, k] in [0, 1): one for every draft; with F factors [R, T, k, F]. */
  readonly uniforms: tf.Tensor;
}

/**
 * Input tensors whose drafts are the model's own: a first pass over `windows`, in which every entry j ≥ 1 is then
 * replaced with a draw from the model's prediction of that position, made at the position that predicts the tensor — what
 * the generation loop feeds back. Entry 0 and PAD are kept, BLANK is not. To mix drafts with noise or truth, choose between the
 * result and `windows` entry by entry (`tf.where`).
 *
 * Call it outside of a gradient: the result is data. The caller owns it.
 * Source: ours; TensorAR trains on noised truth only.
 *
 * @returns int32 [R, T-1, k]
 */
export function selfWindows<C extends Condition>(
  model: TensorARModel<C>,
  params: Params,
  inputs: SelfWindowsInputs<C>,
): tf.Tensor {
  return tidy(() => {
    const { windows, uniforms } = inputs;
    const { windowSize: k } = model;
    const { tokens: T, factors } = model.backbone;
    if (k === 1) return tf.clone(windows);
    expectShape("selfWindows", "uniforms", uniforms, ["R", T, k, ...(factors ? [factors.sizes.length] : [])]);
    const drawn = drawTokens(model, params, inputs); // [R, T, k]
    const drafts = tf.slice(drawn, [0, 0, 0], [-1, T - 1, k]); // X[T-1] is never an input
    const firstEntry = tf.tensor1d([1, ...new Array<number>(k - 1).fill(0)], "int32");
    const kept = tf.maximum(tf.cast(tf.equal(windows, tf.scalar(PAD, "int32")), "int32"), firstEntry);
    return tf.add(tf.mul(windows, kept), tf.mul(drafts, tf.sub(tf.scalar(1, "int32"), kept)));
  });
}

/** One token for every entry of every tensor: int32 [R, T, k]. */
function drawTokens<C extends Condition>(
  model: TensorARModel<C>,
  params: Params,
  { uniforms, ...inputs }: SelfWindowsInputs<C>,
): tf.Tensor {
  const { factors } = model.backbone;
  const states = model.states(params, inputs); // [R, T, k, D]
  if (model.chained) return drawEntries(model, params, states, uniforms);
  if (factors === undefined) return sampleFromLogits(model.backbone.head(params, states), uniforms);
  const known: tf.Tensor[] = [];
  const each = tf.unstack(uniforms, -1); // [R, T, k]
  for (const [factor, own] of each.entries()) {
    const logits = factor === 0 ? model.backbone.head(params, states) : model.nextSubToken(params, { states, known });
    known.push(sampleFromLogits(logits, own));
  }
  return joinTokens(known, factors.sizes);
}

/** As `drawTokens`, of a chained model: each entry given those that were drawn before it. @param states [R, T, k, D] */
function drawEntries<C extends Condition>(
  model: TensorARModel<C>,
  params: Params,
  states: tf.Tensor,
  uniforms: tf.Tensor,
): tf.Tensor {
  const known: tf.Tensor[] = []; // [R, T]
  const [first] = tf.split(states, [1, model.windowSize - 1], 2) as [tf.Tensor];
  for (const [entry, own] of tf.unstack(uniforms, -1).entries()) {
    const logits =
      entry === 0 ? tf.squeeze(model.backbone.head(params, first), [2]) : model.nextEntry(params, { states, known });
    known.push(sampleFromLogits(logits, own));
  }
  return tf.stack(known, -1);
}
