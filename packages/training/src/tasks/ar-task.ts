import type { TensorData, TensorSpec } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import { type ConditionSpecs, type OwnBackbone, type Params, selfWindows, windowLoss } from "@tensorar/model";
import { type ModelDescription, modelOf, saveModel } from "@tensorar/model/node";
import type { Tensors } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainingConditions } from "../conditions/training-conditions";
import { TRAINING_DEFAULTS } from "../settings";
import { arBatches } from "./ar-batches";
import { initialTrainingState } from "./initial-state";
import { type OptimizerOptions, optimize } from "./optimize";
import type { TrainingTask } from "./task";

/** Options of a training on codes. */
export interface ArTrainingOptions extends OptimizerOptions {
  /** Images a step; default 64. */
  readonly batchSize?: number;
  /** Probability that a condition is replaced by what stands for none, which guidance needs; default 0.1. */
  readonly classDropout?: number;
  /**
   * Fraction of window entries j ≥ 1 drawn from the model's own predictions instead of noised truth; default 0, which is the
   * paper.
   */
  readonly selfShare?: number;
  /** w_j of the loss, one per depth; uniform when absent. */
  readonly lossWeights?: readonly number[];
  /** The one source of all random numbers; default 0. */
  readonly seed?: number;
}

/** A batch; of the last two there are some where the model draws entries itself. */
export type ArSpecs = {
  readonly condition: ConditionSpecs;
  /** int32 [B, T-1, k] */
  readonly windows: TensorSpec;
  /** int32 [B, T, k] */
  readonly targets: TensorSpec;
  /** float32 [B, T, k], or [B, T, k, F] with F sub-tokens */
  readonly uniforms?: TensorSpec;
  /** int32 [B, T-1, k]: 1 where the model draws */
  readonly useSelf?: TensorSpec;
};

/** What is trained, and on what. */
export interface ArTraining {
  readonly title: string;
  readonly recipe: Readonly<Record<string, unknown>>;
  /** β(j) of its noise rates corrupts the windows, see TENSORAR "discrete tensor noising". */
  readonly description: ModelDescription;
  /** What the description says too that depends on the folder in which it will be. */
  readonly located?: (dir: string) => Promise<Partial<ModelDescription>>;
  /** The backbone of a description of kind `own`. */
  readonly own?: OwnBackbone | undefined;
  /** The first weights, made when they are needed. */
  readonly initial: () => Record<string, TensorData>;
  readonly codes: Codes;
  readonly conditions: TrainingConditions;
  /** Called when the model was saved to a folder. */
  readonly afterSave?: (dir: string) => Promise<void>;
}

/**
 * Next-tensor training of a model on codes; with windowSize 1 it is ordinary next-token training of the base model. The result is
 * a model folder. All randomness (order, dropout, noise) is drawn outside the step, addressed by seed and step.
 */
export function arTask(training: ArTraining, options: ArTrainingOptions = {}): TrainingTask<ArSpecs> {
  const { title, recipe, description, located, own, initial, codes, conditions, afterSave } = training;
  const model = modelOf(description, own);
  const { backbone, windowSize } = model;
  const factors = backbone.factors?.sizes;
  const { selfShare = 0, lossWeights: weights } = options;
  const { batchSpec, batch, validation } = arBatches(codes, conditions, {
    ...TRAINING_DEFAULTS,
    ...options,
    tokens: backbone.tokens,
    windowSize,
    vocabSize: backbone.vocabSize,
    factors: factors?.length,
    rates: Float64Array.from(description.noiseRates),
    selfShare: windowSize > 1 ? selfShare : 0,
  });
  return {
    title,
    recipe,
    notes: conditions.notes,
    batchSpec,
    batch,
    initialState: () => initialTrainingState(initial()),
    step(inputs) {
      const { condition, targets, uniforms, useSelf, windows: given } = inputs.batch;
      let windows = given; // [B, T-1, k]
      if (uniforms && useSelf) {
        const drafts = selfWindows(model, inputs.state.params!, { condition, windows, uniforms });
        windows = tf.where(tf.cast(useSelf, "bool"), drafts, windows);
      }
      return optimize(inputs, options, (params) => {
        const logits = model.forward(params, { condition, windows, targets }); // [B, T, k, V]
        return windowLoss(logits, targets, { weights, factors });
      });
    },
    ...(codes.validation.length > 0 && {
      validation: {
        ...validation,
        metrics: ({ params, batch }: { readonly params: Params; readonly batch: Tensors<ArSpecs> }) => {
          const { condition, windows, targets } = batch;
          return {
            ...windowLoss(model.forward(params, { condition, windows, targets }), targets, { weights, factors }),
          };
        },
      },
    }),
    async save(dir, tensors, { precision, recipe }) {
      const described = { ...description, ...(await located?.(dir)), training: { ...recipe } };
      await saveModel(dir, { ...described, tensors }, precision, own);
      await afterSave?.(dir);
    },
  };
}
