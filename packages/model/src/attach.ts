import { ShapeError, TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, Condition, Dropout } from "./backbone";
import { chainStates, isChained } from "./chain";
import { evidenceOf } from "./evidence";
import {
  type AdvanceInputs,
  advance,
  type DecodeInputs,
  type DecodeOutputs,
  type DecodePositionsInputs,
  decode,
  decodePositions,
  type EmbeddedPositions,
  embedPrefix,
  type PrefillOutputs,
  prefill,
} from "./generation";
import {
  type Evidence,
  type ModuleSizes,
  moduleInitial,
  moduleShapes,
  moduleSizes,
  type TensorAROptions,
} from "./modules";
import { initialise, type ParameterShapes, type Params } from "./parameters";
import { splitTokens } from "./sub-tokens";
import { tidy } from "./tidy";
import { embedWindows, expectWindow, windowStates } from "./windows";

// R rows · T tokens · L positions · k window · C condition positions · D width · V codes · S cached positions

/** What a model reads of whole sequences. */
export interface ForwardInputs<C extends Condition = tf.Tensor> {
  /** As the backbone's `condition` says: int32 [R] for classes. */
  readonly condition: C;
  /** int32 [R, T-1, k]: input tensors X*[0] … X*[T-2], PAD = -1 past the end, BLANK = -2 where nothing is known. */
  readonly windows: tf.Tensor;
  /** Of training; of backbones with `dropoutSites`. */
  readonly dropout?: Dropout | undefined;
}

/** What a model reads in training. */
export interface TrainingInputs<C extends Condition = tf.Tensor> extends ForwardInputs<C> {
  /** int32 [R, T, k]: X[0] … X[T-1], PAD = -1 past the end. Read by backbones with factors and by chained models, which need them. */
  readonly targets?: tf.Tensor;
  /** Of models with explicit evidence: whether the views of a token add to its logits, as in training; default yes. */
  readonly evidence?: boolean;
}

/** A backbone that predicts the next k tokens from tensors of k tokens. All functions are pure. */
export interface TensorARModel<C extends Condition = tf.Tensor> {
  readonly backbone: Backbone<C>;
  /** k */
  readonly windowSize: number;
  /** What becomes of a token's own drafts. */
  readonly evidence: Evidence;
  /** Whether BLANK entries have a vector of their own. */
  readonly blanks: boolean;
  /** Whether entries of a tensor are drawn one after the other, each given those before: `nextEntry` predicts all but the first. */
  readonly chained: boolean;
  /** Shapes of all parameters, the backbone's and the modules' (`tensorar.…`). */
  readonly shapes: ParameterShapes;
  /** Fresh modules, which leave the base model's logits as they are; empty for window 1. The caller owns them. */
  initModules(seed: number): Params;
  /**
   * Training and evaluation: logits [R, T, k, V] of X[0] … X[T-1]; with factors [R, T, k, V_0 + V_1 + …], each given the
   * sub-tokens before it in `targets`. The caller owns them.
   */
  forward(params: Params, inputs: TrainingInputs<C>): tf.Tensor;
  /** What `forward` predicts from: the states of X[0] … X[T-1], [R, T, k, D]. The caller owns them. */
  states(params: Params, inputs: ForwardInputs<C>): tf.Tensor;
  /** All condition positions at once. Not needed for one: `decode` takes it at position 0. The caller owns the results. */
  prefill(params: Params, inputs: { readonly condition: C }): PrefillOutputs;
  /** The positions of a condition as `advance` takes them. The caller owns the results. */
  embedPrefix(params: Params, condition: C): EmbeddedPositions;
  /** Input tensors as `advance` takes them: int32 [R, L, k], PAD = -1 → [R, L, D]. The caller owns the result. */
  embedWindows(params: Params, windows: tf.Tensor): tf.Tensor;
  /**
   * Runs L embedded positions after those of a cache, if there is one, and predicts what follows the last of them. `prefill` and
   * `decode` are this after `embedPrefix` and `embedWindows`. The caller owns the results.
   */
  advance(params: Params, inputs: AdvanceInputs<C>): DecodeOutputs;
  /** One position of the generation loop. The caller owns the results. */
  decode(params: Params, inputs: DecodeInputs<C>): DecodeOutputs;
  /**
   * Several positions of the generation loop at once, each row's at its own place, as Jacobi decoding feeds them: logits
   * [R, L, k, V], states [R, L, k, D], rows of the cache [R, Hkv, L, Dh] and [R, Hkv, L, Dh]. The caller owns the results.
   */
  decodePositions(params: Params, inputs: DecodePositionsInputs<C>): DecodeOutputs;
  /**
   * With factors: predictions of the sub-tokens after the known ones, from the states that `decode` returned. The
   * caller owns the result.
   * @param inputs.states [..., D]
   * @param inputs.known int32 [...] each: sub-tokens 0 … f-1
   * @returns [..., V_f]
   */
  nextSubToken(params: Params, inputs: { readonly states: tf.Tensor; readonly known: readonly tf.Tensor[] }): tf.Tensor;
  /**
   * Of chained models: predictions of the entry after the known ones, from the states that `decode` returned. The caller owns the
   * result.
   * @param inputs.states [..., k, D]
   * @param inputs.known int32 [...] each: entries 0 … j-1 of the tensor
   * @returns [..., V]
   */
  nextEntry(params: Params, inputs: { readonly states: tf.Tensor; readonly known: readonly tf.Tensor[] }): tf.Tensor;
}

/**
 * Attaches TensorAR's input encoder and output decoder to a backbone. Window 1 is the backbone itself, without modules.
 * Source: Cheng et al. 2026, next-tensor prediction.
 *
 * @throws TensorARError when the options do not fit the backbone
 */
export function attachTensorAR<C extends Condition = tf.Tensor>(
  backbone: Backbone<C>,
  options: TensorAROptions,
): TensorARModel<C> {
  const sizes = moduleSizes(backbone, options);
  const shapes = moduleShapes(sizes);
  return {
    backbone,
    windowSize: sizes.windowSize,
    evidence: sizes.evidence,
    blanks: sizes.blanks,
    chained: isChained(sizes),
    shapes: { ...backbone.shapes, ...shapes },
    initModules: (seed) => initialise(shapes, seed, moduleInitial(sizes)),
    forward: (params, inputs) => tidy(() => forward(backbone, sizes, params, inputs)),
    prefill: (params, inputs) => tidy(() => prefill(backbone, sizes, params, inputs.condition)),
    embedPrefix: (params, condition) => tidy(() => embedPrefix(backbone, params, condition)),
    embedWindows: (params, windows) =>
      tidy(() => {
        expectWindow("embedWindows", windows, ["L"], sizes.windowSize);
        return embedWindows(backbone, sizes, params, windows, undefined);
      }),
    advance: (params, inputs) => tidy(() => advance(backbone, sizes, params, inputs)),
    states: (params, inputs) => tidy(() => statesOf(backbone, sizes, params, inputs)),
    decode: (params, inputs) => tidy(() => decode(backbone, sizes, params, inputs)),
    decodePositions: (params, inputs) => tidy(() => decodePositions(backbone, sizes, params, inputs)),
    nextSubToken: (params, { states, known }) => tidy(() => nextSubToken(backbone, params, states, known)),
    nextEntry: (params, { states, known }) => tidy(() => nextEntry(backbone, sizes, params, states, known)),
  };
}

/** Rows that a training batch has at least, as a rule; decides how windows are embedded, never the result. */
const USUAL_ROWS = 8;

function forward<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { targets, evidence = true, ...inputs }: TrainingInputs<C>,
): tf.Tensor {
  const states = statesOf(backbone, sizes, params, inputs); // [R, T, k, D]
  const { factors, vocabSize } = backbone;
  if (factors === undefined) {
    const known = isChained(sizes) ? chainAll(backbone, sizes, params, states, targets) : states;
    const logits = backbone.head(params, known); // [R, T, k, V]
    if (sizes.evidence === "implicit" || sizes.windowSize === 1 || !evidence) return logits;
    return tf.add(logits, evidenceOf(params, sizes, inputs.windows, vocabSize));
  }
  if (targets === undefined) {
    throw new ShapeError(
      "forward: this backbone predicts sub-tokens; pass targets, of which each one is given the first",
    );
  }
  expectWindow("forward", targets, [backbone.tokens], sizes.windowSize);
  const known = splitTokens(tf.maximum(targets, tf.scalar(0, "int32")), factors.sizes).slice(0, -1);
  const flat = tf.reshape(states, [-1, sizes.width]);
  const logits = factors.heads(
    params,
    flat,
    known.map((each) => tf.reshape(each, [-1])),
  );
  const joined = tf.concat(logits, -1); // [N, V_0 + V_1 + …]
  return tf.reshape(joined, [-1, backbone.tokens, sizes.windowSize, joined.shape[1]!]);
}

/** [R, T, k, D] */
function statesOf<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, dropout }: ForwardInputs<C>,
): tf.Tensor {
  const { tokens, width, vocabSize } = backbone;
  const { windowSize } = sizes;
  expectWindow("forward", windows, [tokens - 1], windowSize);
  const prefix = backbone.embedCondition(params, condition); // [R, C, D]
  const prefixLength = prefix.shape[1]!;
  // Independent of the batch size, so that traced graphs of any batch are the same.
  const sharedCodes = vocabSize <= USUAL_ROWS * tokens * windowSize ? vocabSize : undefined;
  const image = embedWindows(backbone, sizes, params, windows, sharedCodes);
  const x = tf.concat([prefix, image], 1); // [R, C + T - 1, D]
  const positions = tf.range(0, prefixLength + tokens - 1, 1, "int32");
  const mask = backbone.conditionMask?.(condition); // [R, C]
  const { hidden } = backbone.body(params, x, {
    positions,
    condition,
    mask: mask && padRight(mask, tokens - 1),
    dropout: usableDropout(backbone, dropout),
  });
  const predicting = prefixLength === 1 ? hidden : tf.slice(hidden, [0, prefixLength - 1, 0], [-1, tokens, width]);
  return tf.reshape(windowStates(sizes, params, predicting), [-1, tokens, windowSize, width]);
}

/** @throws TensorARError where the backbone drops nothing out */
function usableDropout<C extends Condition>({ dropoutSites }: Backbone<C>, dropout: Dropout | undefined) {
  if (dropout !== undefined && dropoutSites === undefined)
    throw new TensorARError("dropout: this backbone has none; leave it out");
  return dropout;
}

/** [R, C] → [R, C + count], with zeros. */
const padRight = (mask: tf.Tensor, count: number): tf.Tensor =>
  tf.pad(mask, [
    [0, 0],
    [0, count],
  ]);

/** States of all entries that know the true entries before them: [R, T, k, D]. */
function chainAll<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  states: tf.Tensor,
  targets: tf.Tensor | undefined,
): tf.Tensor {
  const { windowSize: k, width } = sizes;
  if (targets === undefined)
    throw new ShapeError("forward: this model is chained; pass targets, of which each entry is given those before it");
  expectWindow("forward", targets, [backbone.tokens], k);
  const flat = tf.reshape(states, [-1, k, width]); // [N, k, D]
  const codes = tf.reshape(tf.maximum(targets, tf.scalar(0, "int32")), [-1, k]); // after PAD comes nothing that counts
  const embedded = tf
    .unstack(codes, 1)
    .slice(0, -1)
    .map((each) => backbone.embedCodes(params, each)); // [N, D]
  const [first, others] = tf.split(flat, [1, k - 1], 1) as [tf.Tensor, tf.Tensor];
  return tf.reshape(tf.concat([first, chainStates(params, sizes, others, embedded)], 1), states.shape as [number]);
}

function nextEntry<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  states: tf.Tensor,
  known: readonly tf.Tensor[],
): tf.Tensor {
  const { windowSize: k, width } = sizes;
  if (!isChained(sizes) || known.length === 0 || known.length >= k)
    throw new ShapeError(
      `nextEntry: ${isChained(sizes) ? `tensors of this model have ${k} entries` : "this model is not chained"}; ${known.length} can't be followed`,
    );
  const own = tf.slice(tf.reshape(states, [-1, k, width]), [0, known.length, 0], [-1, 1, width]); // [N, 1, D]
  const embedded = known.map((each) => backbone.embedCodes(params, tf.reshape(each, [-1])));
  const logits = backbone.head(params, chainStates(params, sizes, own, embedded)); // [N, 1, V]
  return tf.reshape(logits, [-1, ...states.shape.slice(1, -2), backbone.vocabSize]);
}

function nextSubToken<C extends Condition>(
  { factors, width }: Backbone<C>,
  params: Params,
  states: tf.Tensor,
  known: readonly tf.Tensor[],
): tf.Tensor {
  if (factors === undefined || known.length === 0 || known.length >= factors.sizes.length) {
    const count = factors?.sizes.length ?? 1;
    throw new ShapeError(
      `nextSubToken: tokens of this model have ${count} sub-tokens; ${known.length} can't be followed`,
    );
  }
  const flat = tf.reshape(states, [-1, width]);
  const all = factors.heads(
    params,
    flat,
    known.map((each) => tf.reshape(each, [-1])),
  );
  return tf.reshape(all.at(-1)!, [-1, ...states.shape.slice(1, -1), factors.sizes[known.length]!]);
}
