import { TensorARError, type TensorData, type TensorSpec } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import {
  type Condition,
  type ConditionSpecs,
  type Dropout,
  type OwnBackbone,
  selfWindows,
  type TensorARModel,
  windowLoss,
} from "@tensorar/model";
import { type ModelDescription, modelOf, saveModel } from "@tensorar/model/node";
import * as tf from "@tensorflow/tfjs-core";
import type { TrainingConditions } from "../conditions/training-conditions";
import { TRAINING_DEFAULTS } from "../settings";
import { arBatches } from "./ar-batches";
import { type DropoutSizes, dropoutOf } from "./dropout";
import { heldOut } from "./held-out";
import { initialTrainingState } from "./initial-state";
import type { Noising } from "./noising";
import { descend, gradientsOf, type OptimizerOptions, type ParameterRates } from "./optimize";
import type { GradientInputs, Gradients, TrainingTask } from "./task";

/** Options of a training on codes. */
export interface ArTrainingOptions extends OptimizerOptions {
  /** Images of a batch; default 64. */
  readonly batchSize?: number;
  /** Probability that a condition is replaced by what stands for none, which guidance needs; default 0.1. */
  readonly classDropout?: number;
  /**
   * Fraction of window entries j ≥ 1 drawn from the model's own predictions instead of noised truth; default 0, which is the
   * paper.
   */
  readonly selfFraction?: number;
  /** w_j of the loss, one per depth; uniform when absent. */
  readonly lossWeights?: readonly number[] | undefined;
  /** ε in [0, 1): what of every target is spread over all codes; default 0. */
  readonly labelSmoothing?: number;
  /** Of embeddings, and of what attention and the feed-forward add, in [0, 1); default 0. LlamaGen's is 0.1. */
  readonly dropout?: number;
  /** The one source of all random numbers; default 0. */
  readonly seed?: number;
}

/** A batch; of the last four there are some where the model draws entries itself, and where it drops out. */
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
  /** float32 [sites, B · L] */
  readonly dropoutRows?: TensorSpec;
  /** float32 [sites, D] */
  readonly dropoutColumns?: TensorSpec;
};

/** What is trained, and on what. */
export interface ArTraining {
  readonly title: string;
  readonly recipe: Readonly<Record<string, unknown>>;
  readonly description: ModelDescription;
  /** What corrupts the windows; for a window of 1, nothing does. */
  readonly noising?: Noising;
  /** Which parameters move, and how fast; default all, alike. */
  readonly rates?: ParameterRates;
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

const NO_NOISE: Noising = { rates: Float64Array.of(0), hidden: 0, blank: 0, randomRates: false, past: 0 };

/**
 * Next-tensor training of a model on codes; with windowSize 1 it is ordinary next-token training of the base model. The result is
 * a model folder. All randomness (order, dropout, noise) is drawn outside the step, addressed by seed and step.
 *
 * @throws TensorARError where the model drops nothing out and is to
 */
export function arTask(training: ArTraining, options: ArTrainingOptions = {}): TrainingTask<ArSpecs> {
  const { title, recipe, description, located, own, initial, codes, conditions, afterSave } = training;
  const { noising = NO_NOISE, rates } = training;
  const model = modelOf(description, own);
  const { batchSize, seed } = { ...TRAINING_DEFAULTS, ...options };
  const { selfFraction = 0, dropout: dropoutRate = 0, lossWeights } = options;
  const dropout = dropoutRate > 0 ? dropoutSizes(model, conditions, batchSize) : undefined;
  return {
    title,
    recipe,
    notes: conditions.notes,
    ...arBatches(codes, conditions, {
      ...TRAINING_DEFAULTS,
      ...options,
      tokens: model.backbone.tokens,
      windowSize: model.windowSize,
      vocabSize: model.backbone.vocabSize,
      factors: model.backbone.factors?.sizes.length,
      noising,
      selfFraction: model.windowSize > 1 ? selfFraction : 0,
      dropout,
    }),
    initialState: () => initialTrainingState(initial(), rates?.isFrozen),
    gradientsLike: (state) => ({ params: state.firstMoment! }),
    gradients: (inputs) => arGradients(model, inputs, { ...options, ...rates }),
    update: (inputs) => descend(inputs, { ...options, ...rates }),
    ...(codes.validation.length > 0 && {
      validation: heldOut(model, codes, conditions, { batchSize, seed, noising, lossWeights }),
    }),
    async save(dir, tensors, { precision, recipe }) {
      const described = { ...description, ...(await located?.(dir)), training: { ...recipe } };
      await saveModel(dir, { ...described, tensors }, precision, own);
      await afterSave?.(dir);
    },
  };
}

/** Gradients of the loss of the windows of a batch, of which the model draws some entries itself. */
function arGradients(
  model: TensorARModel<Condition>,
  { weights: { params }, batch }: GradientInputs<ArSpecs>,
  options: ArTrainingOptions & ParameterRates,
): Gradients {
  const { condition, targets, uniforms, useSelf, windows: given, dropoutRows, dropoutColumns } = batch;
  const { dropout: rate = 0, lossWeights: weights, labelSmoothing } = options;
  const dropout: Dropout | undefined = dropoutRows && dropoutColumns && dropoutOf(rate, dropoutRows, dropoutColumns);
  let windows = given; // [B, T-1, k]
  if (uniforms && useSelf) {
    const drafts = selfWindows(model, params!, { condition, windows, uniforms });
    windows = tf.where(tf.cast(useSelf, "bool"), drafts, windows);
  }
  return gradientsOf(params!, options, (own) => {
    const logits = model.forward(own, { condition, windows, targets, dropout }); // [B, T, k, V]
    return windowLoss(logits, targets, { weights, labelSmoothing, factors: model.backbone.factors?.sizes });
  });
}

/** @throws TensorARError where the backbone drops nothing out */
function dropoutSizes(
  { backbone }: TensorARModel<Condition>,
  conditions: TrainingConditions,
  batchSize: number,
): DropoutSizes {
  const { dropoutSites: sites, conditionPositions, tokens, width } = backbone;
  if (sites === undefined)
    throw new TensorARError("dropout: this kind of model has none; leave it out, or set it to 0");
  const prefix = conditionPositions ?? promptLength(conditions.spec(batchSize));
  return { sites, rows: batchSize * (prefix + tokens - 1), width };
}

/** P of prompts [B, P]. */
function promptLength(spec: ConditionSpecs): number {
  const prompt = "prompt" in spec ? spec.prompt : undefined;
  return Number((prompt as TensorSpec).shape[1]);
}
