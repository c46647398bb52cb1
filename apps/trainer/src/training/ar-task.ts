import type { TensorData } from "@tensorar/checkpoint";
import type { Codes } from "@tensorar/data";
import { batchIndices } from "@tensorar/data";
import {
  adamW,
  type Condition,
  emaUpdate,
  lossAndGradients,
  selfWindows,
  type TensorARModel,
  windowLoss,
} from "@tensorar/model";
import { corruptWindows, createStream, fillUniform, slideWindows } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainingConditions } from "../conditions/training-conditions";
import type { Nested } from "../engine/engine";
import { initialTrainingState } from "./initial-state";
import type { StepInputs, StepOutputs, TrainingTask } from "./train";

export interface ArTrainingOptions {
  readonly batchSize: number;
  /** Probability that a condition is replaced by what stands for none, which guidance needs. */
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
  model: TensorARModel<Condition>,
  initial: Record<string, TensorData>,
  codes: Codes,
  conditions: TrainingConditions,
  options: ArTrainingOptions,
): TrainingTask {
  const { batchSize: B, seed } = options;
  const T = model.backbone.tokens;
  const k = model.windowSize;
  const V = model.backbone.vocabSize;
  const { factors } = model.backbone;
  const uniformShape = [B, T, k, ...(factors ? [factors.sizes.length] : [])];
  const withSelf = options.selfShare > 0 && k > 1;

  const step = ({ state, batch, learningRate, step }: StepInputs): StepOutputs => {
    const { condition, targets } = batch as { condition: Condition; targets: tf.Tensor3D };
    let windows = batch.windows as tf.Tensor3D; // [B, T-1, k]
    if (withSelf) {
      const drafts = selfWindows(model, state.params!, { condition, windows, uniforms: batch.uniforms as tf.Tensor });
      windows = tf.where(tf.cast(batch.useSelf as tf.Tensor, "bool"), drafts, windows) as tf.Tensor3D;
    }
    const { measures, grads } = lossAndGradients(state.params!, (params) => {
      const logits = model.forward(params, { condition, windows, targets }); // [B, T, k, V]
      return windowLoss(logits, targets, { weights: options.lossWeights, factors: factors?.sizes });
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
      condition: conditions.spec(B),
      windows: { dtype: "int32", shape: [B, T - 1, k] },
      targets: { dtype: "int32", shape: [B, T, k] },
      ...(withSelf && {
        uniforms: { dtype: "float32", shape: uniformShape },
        useSelf: { dtype: "int32", shape: [B, T - 1, k] },
      }),
    },
    initialState: () => initialTrainingState(initial),
    async batch(step: number) {
      const rows = batchIndices({ count: codes.train.length, batchSize: B, seed, step });
      const tokens = new Int32Array(B * T);
      const dropped = new Uint8Array(B);
      const dropout = createStream(seed, "class-dropout", step);
      rows.forEach((row, b) => {
        const image = codes.train[row]!;
        tokens.set(codes.codes.subarray(image * T, (image + 1) * T), b * T);
        dropped[b] = dropout.uniform() < options.classDropout ? 1 : 0;
      });
      const shape = { batch: B, windowSize: k };
      const clean = slideWindows(tokens, { ...shape, tokens: T, count: T - 1 });
      const windows = corruptWindows(clean, { ...shape, count: T - 1, vocabSize: V, rates: options.rates, seed, step });
      const images = rows.map((row) => codes.train[row]!);
      const batch: Record<string, Nested<TensorData>> = {
        condition: conditions.batch(images, dropped),
        windows: int32(windows, [B, T - 1, k]),
        targets: int32(slideWindows(tokens, { ...shape, tokens: T }), [B, T, k]),
      };
      if (withSelf) {
        const uniforms = new Float32Array(uniformShape.reduce((a, b) => a * b));
        fillUniform(uniforms, seed, "draft-samples", step);
        const choice = new Float32Array(B * (T - 1) * k);
        fillUniform(choice, seed, "self-entries", step);
        batch.uniforms = float32(uniforms, uniformShape);
        batch.useSelf = int32(
          Int32Array.from(choice, (u) => (u < options.selfShare ? 1 : 0)),
          [B, T - 1, k],
        );
      }
      return batch;
    },
  };
}
