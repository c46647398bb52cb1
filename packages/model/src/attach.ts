import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, Condition } from "./backbone";
import { ShapeError } from "./errors";
import { inputEncoder } from "./input-encoder";
import { type ModuleSizes, moduleInitial, moduleShapes, moduleSizes, type TensorAROptions } from "./modules";
import { outputDecoder } from "./output-decoder";
import { initialise, type ParameterShapes, type Params } from "./parameters";
import { expectShape } from "./shapes";
import { splitTokens } from "./sub-tokens";
import { tidy } from "./tidy";

// R rows · T tokens · L slots · k window · C condition slots · D width · V codes · S cached slots

export interface ForwardInputs<C extends Condition = tf.Tensor> {
  /** As the backbone's `condition` says: int32 [R] for classes. */
  readonly condition: C;
  /** int32 [R, T-1, k]: input tensors X*[0] … X*[T-2], PAD = -1 past the end. */
  readonly windows: tf.Tensor;
}

export interface TrainingInputs<C extends Condition = tf.Tensor> extends ForwardInputs<C> {
  /** int32 [R, T, k]: X[0] … X[T-1], PAD = -1 past the end. Needed by backbones with factors, and read by no others. */
  readonly targets?: tf.Tensor;
}

export interface DecodeInputs<C extends Condition = tf.Tensor> {
  /** As the backbone's `condition` says: int32 [R] for classes. */
  readonly condition: C;
  /** int32 [R, k]: the previous tensor, PAD = -1 past the end; anything at slot 0. */
  readonly window: tf.Tensor;
  /** int32 [1]: the slot in the whole sequence. With one condition slot 0 … T-1, and slot 0 is the condition's; else C … C+T-2. */
  readonly position: tf.Tensor;
  /** float32 [R, S]: 0 where a cached slot is filled, -1e9 where not. */
  readonly mask: tf.Tensor;
  /** One per layer: [R, Hkv, Dh, S]. */
  readonly keys: readonly tf.Tensor[];
  /** One per layer: [R, Hkv, S, Dh]. */
  readonly values: readonly tf.Tensor[];
}

export interface DecodeSlotsInputs<C extends Condition = tf.Tensor>
  extends Omit<DecodeInputs<C>, "window" | "position"> {
  /** int32 [R, L, k]: the previous tensors of L slots in a row. */
  readonly windows: tf.Tensor;
  /** int32 [L]: the slots in the whole sequence, ascending. */
  readonly positions: tf.Tensor;
}

export interface DecodeOutputs {
  /** [R, k, V]: predictions of the next tensor; of its first sub-tokens, [R, k, V_0], with factors. */
  readonly logits: tf.Tensor;
  /** [R, k, D]: what {@link TensorARModel.nextFactor} needs; with factors only. */
  readonly states?: tf.Tensor;
  /** New rows of the cache, one per layer: [R, Hkv, Dh, 1]. */
  readonly keys: tf.Tensor[];
  /** [R, Hkv, 1, Dh] */
  readonly values: tf.Tensor[];
}

export interface PrefillOutputs {
  /** [R, k, V]: predictions of X[0]; of its first sub-tokens, [R, k, V_0], with factors. */
  readonly logits: tf.Tensor;
  /** [R, k, D], as {@link DecodeOutputs.states} */
  readonly states?: tf.Tensor;
  /** The condition's rows of the cache, one per layer: [R, Hkv, Dh, C]. */
  readonly keys: tf.Tensor[];
  /** [R, Hkv, C, Dh] */
  readonly values: tf.Tensor[];
  /** [R, C]: the condition's part of the mask for {@link DecodeInputs.mask}. */
  readonly mask: tf.Tensor;
}

/** A backbone that predicts the next k tokens from tensors of k tokens. All functions are pure. */
export interface TensorARModel<C extends Condition = tf.Tensor> {
  readonly backbone: Backbone<C>;
  /** k */
  readonly windowSize: number;
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
  /** All condition slots at once. Not needed for one: `decode` takes it at slot 0. The caller owns the results. */
  prefill(params: Params, inputs: { readonly condition: C }): PrefillOutputs;
  /** One slot of the generation loop. The caller owns the results. */
  decode(params: Params, inputs: DecodeInputs<C>): DecodeOutputs;
  /**
   * Several slots of the generation loop at once, as speculative sampling feeds them: logits [R, L, k, V], states
   * [R, L, k, D], rows of the cache [R, Hkv, Dh, L] and [R, Hkv, L, Dh]. The caller owns the results.
   */
  decodeSlots(params: Params, inputs: DecodeSlotsInputs<C>): DecodeOutputs;
  /**
   * With factors: predictions of the sub-tokens after the known ones, from the states that `decode` returned. The
   * caller owns the result.
   * @param inputs.states [..., D]
   * @param inputs.known int32 [...] each: sub-tokens 0 … f-1
   * @returns [..., V_f]
   */
  nextFactor(params: Params, inputs: { readonly states: tf.Tensor; readonly known: readonly tf.Tensor[] }): tf.Tensor;
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
    shapes: { ...backbone.shapes, ...shapes },
    initModules: (seed) => initialise(shapes, seed, moduleInitial(sizes)),
    forward: (params, inputs) => tidy(() => forward(backbone, sizes, params, inputs)),
    prefill: (params, inputs) => tidy(() => prefill(backbone, sizes, params, inputs.condition)),
    states: (params, inputs) => tidy(() => statesOf(backbone, sizes, params, inputs)),
    decode: (params, inputs) => tidy(() => decode(backbone, sizes, params, inputs)),
    decodeSlots: (params, inputs) => tidy(() => decodeSlots(backbone, sizes, params, inputs)),
    nextFactor: (params, { states, known }) => tidy(() => nextFactor(backbone, params, states, known)),
  };
}

/** Rows that a training batch has at least, as a rule; decides how windows are embedded, never the result. */
const USUAL_ROWS = 8;

function forward<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { targets, ...inputs }: TrainingInputs<C>,
): tf.Tensor {
  const states = statesOf(backbone, sizes, params, inputs); // [R, T, k, D]
  const { factors } = backbone;
  if (factors === undefined) return backbone.head(params, states);
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
  { condition, windows }: ForwardInputs<C>,
): tf.Tensor {
  const { tokens, width, vocabSize } = backbone;
  const { windowSize } = sizes;
  expectWindow("forward", windows, [tokens - 1], windowSize);
  const prefix = backbone.embedCondition(params, condition); // [R, C, D]
  const slots = prefix.shape[1]!;
  // Independent of the batch size, so that traced graphs of any batch are the same.
  const sharedCodes = vocabSize <= USUAL_ROWS * tokens * windowSize ? vocabSize : undefined;
  const image = embedWindows(backbone, sizes, params, windows, sharedCodes);
  const x = tf.concat([prefix, image], 1); // [R, C + T - 1, D]
  const positions = tf.range(0, slots + tokens - 1, 1, "int32");
  const mask = backbone.conditionMask?.(condition); // [R, C]
  const { hidden } = backbone.trunk(params, x, { positions, condition, mask: mask && padRight(mask, tokens - 1) });
  const predicting = slots === 1 ? hidden : tf.slice(hidden, [0, slots - 1, 0], [-1, tokens, width]);
  return tf.reshape(windowStates(sizes, params, predicting), [-1, tokens, windowSize, width]);
}

/** [R, C] → [R, C + count], with zeros. */
const padRight = (mask: tf.Tensor, count: number): tf.Tensor =>
  tf.pad(mask, [
    [0, 0],
    [0, count],
  ]);

function prefill<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  condition: C,
): PrefillOutputs {
  const x = backbone.embedCondition(params, condition); // [R, C, D]
  const slots = x.shape[1]!;
  const given = backbone.conditionMask?.(condition);
  const positions = backbone.conditionSlots === undefined ? countSlots(x) : tf.range(0, slots, 1, "int32");
  const { hidden, keys, values } = backbone.trunk(params, x, { positions, condition, mask: given });
  const last = tf.slice(hidden, [0, slots - 1, 0], [-1, 1, backbone.width]);
  const mask = given ?? tf.zerosLike(tf.sum(x, -1));
  return { keys, values, mask, ...predictions(backbone, sizes, params, last) };
}

/** 0 … L-1 for x [R, L, D], as a running count and not as a constant, so that L may be symbolic in a traced graph. */
function countSlots(x: tf.Tensor): tf.Tensor {
  const ones = tf.onesLike(tf.cast(tf.reshape(tf.slice(x, [0, 0, 0], [1, -1, 1]), [-1]), "int32"));
  return tf.sub(tf.cumsum(ones), tf.scalar(1, "int32"));
}

function decode<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  inputs: DecodeInputs<C>,
): DecodeOutputs {
  const { condition, window, position, mask, keys, values } = inputs;
  expectWindow("decode", window, [], sizes.windowSize);
  expectShape("decode", "position", position, [1]);
  expectShape("decode", "mask", mask, ["R", "S"]);
  let x = embedWindows(backbone, sizes, params, tf.expandDims(window, 1), undefined); // [R, 1, D]
  if (backbone.conditionSlots === 1) {
    const first = tf.cast(tf.equal(position, tf.scalar(0, "int32")), "float32"); // [1]
    const prefix = tf.mul(backbone.embedCondition(params, condition), first); // [R, 1, D]
    x = tf.add(prefix, tf.mul(x, tf.sub(1, first))); // exact: one of the two is 0
  }
  const cache = { keys, values, mask };
  const output = backbone.trunk(params, x, { positions: position, condition, cache });
  return { ...withoutHidden(output), ...predictions(backbone, sizes, params, output.hidden) };
}

function decodeSlots<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, positions, mask, keys, values }: DecodeSlotsInputs<C>,
): DecodeOutputs {
  const { windowSize, width } = sizes;
  expectShape("decodeSlots", "windows", windows, ["R", "L", windowSize]);
  const slots = windows.shape[1]!;
  expectShape("decodeSlots", "positions", positions, [slots]);
  expectShape("decodeSlots", "mask", mask, ["R", "S"]);
  let x = embedWindows(backbone, sizes, params, windows, undefined); // [R, L, D]
  if (backbone.conditionSlots === 1) {
    const first = tf.expandDims(tf.cast(tf.equal(positions, tf.scalar(0, "int32")), "float32"), 1); // [L, 1]
    const prefix = tf.mul(backbone.embedCondition(params, condition), first); // [R, L, D]
    x = tf.add(prefix, tf.mul(x, tf.sub(1, first))); // exact: one of the two is 0
  }
  const output = backbone.trunk(params, x, { positions, condition, cache: { keys, values, mask } });
  const states = tf.reshape(windowStates(sizes, params, output.hidden), [-1, slots, windowSize, width]);
  const logits = backbone.head(params, states); // [R, L, k, V]
  return { ...withoutHidden(output), logits, ...(backbone.factors && { states }) };
}

const withoutHidden = ({ keys, values }: { keys: tf.Tensor[]; values: tf.Tensor[] }) => ({ keys, values });

/** e_i of every window: [R, L, k] → [R, L, D]. `sharedCodes` as in {@link inputEncoder}. */
function embedWindows<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  windows: tf.Tensor,
  sharedCodes: number | undefined,
): tf.Tensor {
  const { windowSize, width } = sizes;
  const length = windows.shape[1]!;
  const embedCodes = (codes: tf.Tensor) => backbone.embedCodes(params, codes);
  const flat = tf.reshape(windows, [-1, windowSize]) as tf.Tensor2D; // [N, k]
  const entry0 = windowSize === 1 ? flat : (tf.split(flat, [1, windowSize - 1], 1)[0] as tf.Tensor2D); // [N, 1]
  // Entry 0 is PAD only where a caller had nothing to pass, at slot 0 of decode.
  const codes = tf.maximum(tf.squeeze(entry0, [1]), tf.scalar(0, "int32"));
  const first = embedCodes(codes) as tf.Tensor2D; // [N, D]
  if (windowSize === 1) return tf.reshape(first, [-1, length, width]);
  const change = inputEncoder(params, sizes, { first, windows: flat, embedCodes, sharedCodes });
  return tf.reshape(tf.add(first, change), [-1, length, width]);
}

/** The k states of every slot: [R, L, D] → [R · L, k, D]. */
function windowStates(sizes: ModuleSizes, params: Params, hidden: tf.Tensor): tf.Tensor {
  const { windowSize, width } = sizes;
  const flat = tf.reshape(hidden, [-1, width]) as tf.Tensor2D; // [N, D]
  return windowSize === 1 ? tf.expandDims(flat, 1) : outputDecoder(params, sizes, flat);
}

/** What one slot [R, 1, D] predicts. */
function predictions<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  hidden: tf.Tensor,
): { logits: tf.Tensor; states?: tf.Tensor } {
  const states = windowStates(sizes, params, hidden); // [R, k, D]
  const logits = backbone.head(params, states);
  return backbone.factors === undefined ? { logits } : { logits, states };
}

function nextFactor<C extends Condition>(
  { factors, width }: Backbone<C>,
  params: Params,
  states: tf.Tensor,
  known: readonly tf.Tensor[],
): tf.Tensor {
  if (factors === undefined || known.length === 0 || known.length >= factors.sizes.length) {
    const count = factors?.sizes.length ?? 1;
    throw new ShapeError(
      `nextFactor: tokens of this model have ${count} sub-tokens; ${known.length} can't be followed`,
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

/** @throws ShapeError when windows are not [R, ...slots, k] */
function expectWindow(where: string, windows: tf.Tensor, slots: readonly number[], windowSize: number): void {
  const given = windows.shape.at(-1);
  if (windows.rank === slots.length + 2 && given !== windowSize) {
    throw new ShapeError(
      `${where}: window ${given} does not fit windowSize ${windowSize} of this model; cut windows of ${windowSize}`,
    );
  }
  expectShape(where, slots.length === 0 ? "window" : "windows", windows, ["R", ...slots, windowSize]);
}
