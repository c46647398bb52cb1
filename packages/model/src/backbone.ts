import type * as tf from "@tensorflow/tfjs-core";
import type { ParameterShapes, Params } from "./parameters";

// R rows · L positions · C condition positions · D width · V codes · Hkv key heads · Dh head width · S cached positions

/** What the body reads of earlier calls; S may grow from call to call. */
export interface BodyCache extends BodyPositions {
  /**
   * The last of the cached positions, apart from the others: they are joined with the new ones, a copy of them, where the others are
   * only read. For loops inside a graph. What runs a layer hands it on to `attention`.
   */
  readonly recent?: BodyPositions | undefined;
}

/** Keys and values of positions of all layers. */
export interface BodyPositions {
  /** One per layer: [R, Hkv, S, Dh]. */
  readonly keys: readonly tf.Tensor[];
  /** One per layer: [R, Hkv, S, Dh]. */
  readonly values: readonly tf.Tensor[];
  /** float32 [R, S], added to the scores: 0 where a position is filled, -1e9 where not. */
  readonly mask: tf.Tensor;
}

/** What the blocks return. */
export interface BodyOutput {
  /** [R, L, D], after the final norm. */
  readonly hidden: tf.Tensor;
  /** New rows, one per layer: [R, Hkv, L, Dh]. */
  readonly keys: tf.Tensor[];
  /** New rows, one per layer: [R, Hkv, L, Dh]. */
  readonly values: tf.Tensor[];
}

/** Type and shape of one image's condition. A string is a size that may differ from batch to batch. */
export interface ConditionSpec {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly (number | string)[];
}

/** How a backbone takes prompts. */
export interface PromptInput {
  /** Text tokens are 0 … vocabSize - 1. */
  readonly vocabSize: number;
  /** The text token that fills up short prompts, and stands for what is left out of a prompt in guidance. */
  readonly padId: number;
  /** What is tokenized: a description of the image in place of `{}`. */
  readonly template: string;
  /** Longer prompts lose their end; any length when absent. */
  readonly maxTokens?: number;
  /** Whether the vocabulary was made from the captions of training, so that words in several pieces were rare there, or new. */
  readonly ownVocabulary?: boolean;
}

/** What the images of a batch are conditioned on: one tensor [R, ...], or several by name. */
export type Condition = tf.Tensor | Readonly<Record<string, tf.Tensor>>;

/** What the blocks read besides the embedded positions. */
export interface BodyInputs<C extends Condition = tf.Tensor> {
  /** int32 [L]: the positions of x in the whole sequence, `0 … C + T - 2`; or [R, L], each row's own. */
  readonly positions: tf.Tensor;
  /** For bodies whose layers read it too. */
  readonly condition: C;
  /** float32 [R, L], added to the scores of these positions for all others: 0, or -1e9 where a position is padding. */
  readonly mask?: tf.Tensor | undefined;
  readonly cache?: BodyCache | undefined;
  /** Of training; of backbones with `dropoutSites`. */
  readonly dropout?: Dropout | undefined;
}

/**
 * Drops entries of x out and scales the others, so that their mean stays: of the shape of x, [N, D] with N = R · L. The site tells
 * places of the model apart, 0 … dropoutSites - 1.
 */
export type Dropout = (x: tf.Tensor, site: number) => tf.Tensor;

/**
 * An autoregressive image model as TensorAR sees it: embeddings, a causal body and a head. Implement it to attach
 * TensorAR to a model of your own. All functions are pure; the caller owns what they return.
 */
export interface Backbone<C extends Condition = tf.Tensor> {
  /** D */
  readonly width: number;
  /** V */
  readonly vocabSize: number;
  /** T: image tokens in raster order. */
  readonly tokens: number;
  /** C: positions before the image; undefined when it depends on the condition, as with prompts. */
  readonly conditionPositions: number | undefined;
  /** Type and shape of an image's condition, by name if there are several tensors. */
  readonly condition: ConditionSpec | Readonly<Record<string, ConditionSpec>>;
  /** Class that stands for "none" in classifier-free guidance; -1 when there is no such class. */
  readonly unconditionalClass: number;
  /** Present where the condition is a tokenized prompt: parts `prompt` int32 [P] and `mask` float32 [P]. */
  readonly prompts?: PromptInput;
  readonly cache: { readonly layers: number; readonly heads: number; readonly headDim: number };
  /** Places where the body can drop out in training; absent where it has none. */
  readonly dropoutSites?: number;
  /** Shape of every parameter by name. */
  readonly shapes: ParameterShapes;
  /** → [R, C, D] */
  embedCondition(params: Params, condition: C): tf.Tensor;
  /** → float32 [R, C]: 0, or -1e9 for positions that are padding. Absent when there never are any. */
  conditionMask?(condition: C): tf.Tensor;
  /** int32 [...] in [0, V) → [..., D] */
  embedCodes(params: Params, codes: tf.Tensor): tf.Tensor;
  /**
   * Runs L new positions after the cached ones; without a cache they are the first ones.
   * @param x [R, L, D]
   */
  body(params: Params, x: tf.Tensor, inputs: BodyInputs<C>): BodyOutput;
  /** [..., D] → [..., V], or [..., V_0] with factors */
  head(params: Params, hidden: tf.Tensor): tf.Tensor;
  /** Present where a token consists of several sub-tokens. */
  readonly factors?: Factors;
}

/**
 * How a token is predicted as sub-tokens, each given the ones before it. Everywhere else a token is one code:
 * `c_0 + c_1 · V_0 + c_2 · V_0 · V_1 + …`.
 */
export interface Factors {
  /** V_0, V_1, …; their product is V. */
  readonly sizes: readonly number[];
  /**
   * Predictions of sub-tokens 0 … known.length of the same tokens.
   * @param hidden [N, D]
   * @param known int32 [N] each, the first sub-tokens
   * @returns [N, V_f] each
   */
  heads(params: Params, hidden: tf.Tensor, known: readonly tf.Tensor[]): tf.Tensor[];
}
