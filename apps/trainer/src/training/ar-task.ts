import type { TensorData } from "@tensorar/checkpoint";
import { adamW, emaUpdate, lossAndGradients, selfWindows, type TensorARModel, windowLoss } from "@tensorar/model";
import { corruptWindows, createStream, fillUniform, slideWindows } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { batchIndices } from "../data/batches";
import type { Codes } from "../folders/codes-folder";
import { initialTrainingState } from "./initial-state";
import type { StepInputs, StepOutputs, TrainingTask } from "./train";

export interface ArTrainingOptions {
  readonly batchSize: number;
  /** Probability that a label is replaced by the null class, which guidance needs. */
  readonly classDropout: number;
  /** β(j) of the model's windows, see TENSORAR "discrete tensor noising". */
  readonly rates: Float64Array;
  /** Share of window entries j ≥ 1 drawn from the model's own predictions instead of noised truth; 0 is the paper. */
  readonly selfShare: number;
  /** w_j of the loss, one per depth; uniform when absent. */
  readonly lossWeights?: readonly number[];
  readonly weightDecay: number;
  readonly clip: number;
  readonly emaDecay: number;
  readonly seed: number;
}

const int32 = (data: Int32Array, shape: readonly number[]): TensorData => ({ dtype: "int32", shape, data });
const float32 = (data: Float32Array, shape: readonly number[]): TensorData => ({ dtype: "float32", shape, data });

/**
 * Next-tensor training of a model on codes; with windowSize 1 it is ordinary next-token training of the base model.
 * All randomness (order, dropout, noise) is drawn outside the step, addressed by seed and step.
 */
export function arTask(
  title: string,
  model: TensorARModel,
  initial: Record<string, TensorData>,
  codes: Codes,
  options: ArTrainingOptions,
): TrainingTask {
  const { batchSize: B, seed } = options;
  const T = model.backbone.tokens;
  const k = model.windowSize;
  const V = model.backbone.vocabSize;
  const withSelf = options.selfShare > 0 && k > 1;

  const step = ({ state, batch, learningRate, step }: StepInputs): StepOutputs => {
    const { condition, targets } = batch as { condition: tf.Tensor1D; targets: tf.Tensor3D };
    let windows = batch.windows as tf.Tensor3D; // [B, T-1, k]
    if (withSelf) {
      const drafts = selfWindows(model, state.params!, { condition, windows, uniforms: batch.uniforms as tf.Tensor3D });
      windows = tf.where(tf.cast(batch.useSelf!, "bool"), drafts, windows) as tf.Tensor3D;
    }
    const { measures, grads } = lossAndGradients(state.params!, (params) => {
      const logits = model.forward(params, { condition, windows }); // [B, T, k, V]
      return windowLoss(logits, targets, { weights: options.lossWeights });
    });
    const next = adamW(
      state.params!,
      grads,
      { firstMoment: state.firstMoment!, secondMoment: state.secondMoment! },
      {
        learningRate,
        step,
        betas: [0.9, 0.95],
        eps: 1e-8,
        weightDecay: options.weightDecay,
        clip: options.clip,
      },
    );
    return {
      state: { params: next.params, ...next.state, ema: emaUpdate(state.ema!, next.params, options.emaDecay) },
      measures: { ...measures, gradNorm: next.gradNorm },
    };
  };

  return {
    title,
    step,
    batchSpec: {
      condition: { dtype: "int32", shape: [B] },
      windows: { dtype: "int32", shape: [B, T - 1, k] },
      targets: { dtype: "int32", shape: [B, T, k] },
      ...(withSelf && {
        uniforms: { dtype: "float32", shape: [B, T, k] },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
    },
    initialState: () => initialTrainingState(initial),
    async batch(step: number) {
      const rows = batchIndices({ count: codes.train.length, batchSize: B, seed, step });
      const tokens = new Int32Array(B * T);
      const condition = new Int32Array(B);
      const dropout = createStream(seed, "class-dropout", step);
      rows.forEach((row, b) => {
        const image = codes.train[row]!;
        tokens.set(codes.codes.subarray(image * T, (image + 1) * T), b * T);
        condition[b] = dropout.uniform() < options.classDropout ? model.backbone.nullCondition : codes.labels[image]!;
      });
      const shape = { batch: B, windowSize: k };
      const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
      const windows = corruptWindows(clean, { ...shape, count: T - 1, vocabSize: V, rates: options.rates, seed, step });
      const batch: Record<string, TensorData> = {
        condition: int32(condition, [B]),
        windows: int32(windows, [B, T - 1, k]),
        targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
      };
      if (withSelf) {
        const uniforms = new Float32Array(B * T * k);
        fillUniform(uniforms, seed, "draft-samples", step);
        const choice = new Float32Array(B * (T - 1) * k);
        fillUniform(choice, seed, "self-entries", step);
        batch.uniforms = float32(uniforms, [B, T, k]);
        batch.useSelf = int32(
          Int32Array.from(choice, (u) => (u < options.selfShare ? 1 : 0)),
          [B, T - 1, k],
        );
      }
      return batch;
    },
  };
}
