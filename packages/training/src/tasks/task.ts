import type { FloatDType } from "@tensorar/checkpoint";
import type { TensorData } from "@tensorar/core";
import type { ConditionSpecs, Params } from "@tensorar/model";
import type { Feeds } from "@tensorar/onnx";
import type { Tensors } from "@tensorar/program";
import type * as tf from "@tensorflow/tfjs-core";

/** Training state: records of tensors by purpose (`params`, `firstMoment`, …), each keyed by parameter name. */
export type TrainingState = Record<string, Record<string, TensorData>>;

/** Types and shapes of a batch, by name. */
export type BatchSpecs = Readonly<Record<string, ConditionSpecs>>;

/** Records of the state as tensors. */
export type StepState = Readonly<Record<string, Params>>;

/** What gradients are computed from: the weights, one batch, and the number of the step. */
export interface GradientInputs<B extends BatchSpecs = BatchSpecs> {
  /** The records of the state that `gradientsLike` names, such as `params`. */
  readonly weights: StepState;
  readonly batch: Tensors<B>;
  /** []: 1 at the first step. */
  readonly step: tf.Tensor;
}

/** Gradients of the weights, keyed like them, and measures. */
export interface Gradients {
  readonly gradients: StepState;
  /** Scalars or short vectors to log; `loss` is one of them, and all are watched for NaN. */
  readonly metrics: Params;
}

/** What an update is computed from: the whole state, gradients, and the two scalars that change with the step. */
export interface UpdateInputs {
  readonly state: StepState;
  /** Of one batch, or their mean over several. */
  readonly gradients: StepState;
  /** [] */
  readonly learningRate: tf.Tensor;
  /** []: 1 at the first step, which Adam's bias correction needs. */
  readonly step: tf.Tensor;
}

/** What an update returns. */
export interface StepOutputs {
  readonly state: StepState;
  /** More to log, and to watch. */
  readonly metrics: Params;
}

/** How a result is written. */
export interface SaveOptions {
  /** Number format of the file. */
  readonly precision: FloatDType;
  /** What the result says of its training. */
  readonly recipe: Readonly<Record<string, unknown>>;
}

/** What is measured on images that are held out. */
export interface Validation<B extends BatchSpecs = BatchSpecs> {
  readonly batchSpec: B;
  /** Batches that are measured, the same each time. */
  readonly batches: number;
  /** @param index from 0 */
  batch(index: number): Promise<Feeds<B>>;
  /** Scalars or short vectors; `loss` is one of them. Traced once, or called for every batch, depending on the engine. */
  metrics(inputs: { readonly params: Params; readonly batch: Tensors<B> }): Params;
}

/**
 * Something to train: pure gradients and a pure update, the first state, batches, which depend on nothing but their number, and the
 * result. `optimized` makes gradients and update of a loss.
 */
export interface TrainingTask<B extends BatchSpecs = BatchSpecs> {
  /** For progress and messages: `tokenizer`. */
  readonly title: string;
  /** Everything, but for the options of the loop, that decides what is trained, as JSON. */
  readonly recipe: Readonly<Record<string, unknown>>;
  /** What to tell a user before it begins. */
  readonly notes?: readonly string[] | undefined;
  /** Types and shapes of a batch. */
  readonly batchSpec: B;
  /** Called when an engine is there, so it may make tensors. */
  initialState(): TrainingState;
  /** Tensors in the names and shapes of the gradients, by the record whose gradients they are: the moments of a state. */
  gradientsLike(state: TrainingState): TrainingState;
  /** Traced once, or called for every batch, depending on the engine. */
  gradients(inputs: GradientInputs<B>): Gradients;
  /** Traced once, or called for every step, depending on the engine. */
  update(inputs: UpdateInputs): StepOutputs;
  /** @param index 0 for the first */
  batch(index: number): Promise<Feeds<B>>;
  /** Absent where nothing is held out. */
  readonly validation?: Validation;
  /**
   * Writes what was trained.
   * @param dir the run's folder
   * @param weights the moving average
   */
  save(dir: string, weights: Record<string, TensorData>, options: SaveOptions): Promise<void>;
}
