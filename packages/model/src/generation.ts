import type * as core from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, Condition, TrunkCache } from "./backbone";
import type { ModuleSizes } from "./modules";
import type { Params } from "./parameters";
import { expectShape } from "./shapes";
import { embedWindows, expectWindow, windowStates } from "./windows";

// R rows · L slots · k window · C condition slots · D width · V codes · S cached slots

/** What `decode` takes, as {@link core.DecodeInputs}. */
export type DecodeInputs<C extends Condition = tf.Tensor> = core.DecodeInputs<tf.Tensor, C>;

/** What `decodeSlots` takes, as {@link core.DecodeSlotsInputs}. */
export type DecodeSlotsInputs<C extends Condition = tf.Tensor> = core.DecodeSlotsInputs<tf.Tensor, C>;

/** Predictions, and what the cache gains. */
export interface DecodeOutputs {
  /** [R, k, V]: predictions of the next tensor; of its first sub-tokens, [R, k, V_0], with factors. */
  readonly logits: tf.Tensor;
  /** [R, k, D]: what `nextFactor` of the model needs; with factors only. */
  readonly states?: tf.Tensor;
  /** New rows of the cache, one per layer: [R, Hkv, L, Dh]. */
  readonly keys: tf.Tensor[];
  /** [R, Hkv, L, Dh] */
  readonly values: tf.Tensor[];
}

/** Predictions of the first token window, and what the cache gains. */
export interface PrefillOutputs extends DecodeOutputs {
  /** [R, C]: the condition's part of the mask for {@link DecodeInputs.mask}. */
  readonly mask: tf.Tensor;
}

/** Slots before they go through the trunk. */
export interface EmbeddedSlots {
  /** [R, L, D] */
  readonly x: tf.Tensor;
  /** int32 [L]: the slots in the whole sequence, ascending. */
  readonly positions: tf.Tensor;
  /** float32 [R, L]: 0, or -1e9 where a slot is padding. */
  readonly mask: tf.Tensor;
}

/** Embedded slots, and what their blocks read besides. */
export interface AdvanceInputs<C extends Condition = tf.Tensor> extends Omit<EmbeddedSlots, "mask"> {
  /** For trunks whose layers read it too. */
  readonly condition: C;
  /** As {@link EmbeddedSlots.mask}; left out where no slot is padding. */
  readonly mask?: tf.Tensor | undefined;
  readonly cache?: TrunkCache | undefined;
}

/**
 * Outputs with the new rows of all layers as one tensor, keys before values, in place of a list of each: what is given to a cache
 * outside of a graph, since every output of a graph costs a copy and a call of its own.
 *
 * @returns `rows` [2, layers, R, Hkv, L, Dh] and the other outputs
 */
export function packRows<Outputs extends Pick<DecodeOutputs, "keys" | "values">>({
  keys,
  values,
  ...others
}: Outputs): Omit<Outputs, "keys" | "values"> & { readonly rows: tf.Tensor } {
  const rows = tf.reshape(tf.concat([...keys, ...values], 0), [2, keys.length, -1, ...keys[0]!.shape.slice(1)]);
  return { ...others, rows };
}

/** The condition's slots, 0 … C-1. */
export function embedPrefix<C extends Condition>(backbone: Backbone<C>, params: Params, condition: C): EmbeddedSlots {
  const x = backbone.embedCondition(params, condition); // [R, C, D]
  const positions = backbone.conditionSlots === undefined ? countSlots(x) : tf.range(0, x.shape[1]!, 1, "int32");
  return { x, positions, mask: backbone.conditionMask?.(condition) ?? tf.zerosLike(tf.sum(x, -1)) };
}

/** 0 … L-1 for x [R, L, D], as a running count and not as a constant, so that L may be symbolic in a traced graph. */
function countSlots(x: tf.Tensor): tf.Tensor {
  const ones = tf.onesLike(tf.cast(tf.reshape(tf.slice(x, [0, 0, 0], [1, -1, 1]), [-1]), "int32"));
  return tf.sub(tf.cumsum(ones), tf.scalar(1, "int32"));
}

/** Runs L slots and predicts what follows the last of them. */
export function advance<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { x, ...inputs }: AdvanceInputs<C>,
): DecodeOutputs {
  const [, slots] = expectShape("advance", "x", x, ["R", "L", sizes.width]) as [number, number];
  const { hidden, keys, values } = backbone.trunk(params, x, inputs);
  const last = slots === 1 ? hidden : tf.slice(hidden, [0, slots - 1, 0], [-1, 1, sizes.width]);
  const states = windowStates(sizes, params, last); // [R, k, D]
  return { keys, values, logits: backbone.head(params, states), ...(backbone.factors && { states }) };
}

export function prefill<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  condition: C,
): PrefillOutputs {
  const { x, positions, mask } = embedPrefix(backbone, params, condition);
  const own = backbone.conditionMask && mask;
  return { mask, ...advance(backbone, sizes, params, { x, positions, condition, mask: own }) };
}

export function decode<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, window, position, mask, keys, values }: DecodeInputs<C>,
): DecodeOutputs {
  expectWindow("decode", window, [], sizes.windowSize);
  expectShape("decode", "position", position, [1]);
  expectShape("decode", "mask", mask, ["R", "S"]);
  const x = embedSlots(backbone, sizes, params, { condition, windows: tf.expandDims(window, 1), positions: position });
  return advance(backbone, sizes, params, { x, positions: position, condition, cache: { keys, values, mask } });
}

export function decodeSlots<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, positions, mask, keys, values }: DecodeSlotsInputs<C>,
): DecodeOutputs {
  const { windowSize, width } = sizes;
  expectShape("decodeSlots", "windows", windows, ["R", "L", windowSize]);
  const slots = windows.shape[1]!;
  expectShape("decodeSlots", "positions", positions, ["R", slots]);
  expectShape("decodeSlots", "mask", mask, ["R", "S"]);
  const x = embedSlots(backbone, sizes, params, { condition, windows, positions }); // [R, L, D]
  const output = backbone.trunk(params, x, { positions, condition, cache: { keys, values, mask } });
  const states = tf.reshape(windowStates(sizes, params, output.hidden), [-1, slots, windowSize, width]);
  const logits = backbone.head(params, states); // [R, L, k, V]
  return { keys: output.keys, values: output.values, logits, ...(backbone.factors && { states }) };
}

/** Windows [R, L, k] as slots [R, L, D]; where the condition has one slot, slot 0 is the condition's. */
function embedSlots<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, positions }: Pick<DecodeSlotsInputs<C>, "condition" | "windows" | "positions">,
): tf.Tensor {
  const x = embedWindows(backbone, sizes, params, windows, undefined);
  if (backbone.conditionSlots !== 1) return x;
  const first = tf.expandDims(tf.cast(tf.equal(positions, tf.scalar(0, "int32")), "float32"), -1); // [L, 1] or [R, L, 1]
  const prefix = tf.mul(backbone.embedCondition(params, condition), first); // [R, L, D]
  return tf.add(prefix, tf.mul(x, tf.sub(1, first))); // exact: one of the two is 0
}
