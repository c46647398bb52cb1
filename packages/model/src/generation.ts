import type * as core from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, BodyCache, Condition } from "./backbone";
import { isChained } from "./chain";
import type { ModuleSizes } from "./modules";
import type { Params } from "./parameters";
import { expectShape } from "./shapes";
import { embedWindows, expectWindow, windowStates } from "./windows";

// R rows · L positions · k window · C condition positions · D width · V codes · S cached positions

/** What `decode` takes, as {@link core.DecodeInputs}. */
export type DecodeInputs<C extends Condition = tf.Tensor> = core.DecodeInputs<tf.Tensor, C>;

/** What `decodePositions` takes, as {@link core.DecodePositionsInputs}. */
export type DecodePositionsInputs<C extends Condition = tf.Tensor> = core.DecodePositionsInputs<tf.Tensor, C>;

/** Predictions, and what the cache gains. */
export interface DecodeOutputs {
  /** [R, k, V]: predictions of the next tensor; of its first sub-tokens, [R, k, V_0], with factors; of its entry 0, [R, 1, V], of chained models. */
  readonly logits: tf.Tensor;
  /** [R, k, D]: what `nextSubToken` or `nextEntry` of the model needs; with factors, and of chained models. */
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

/** Positions before they go through the body. */
export interface EmbeddedPositions {
  /** [R, L, D] */
  readonly x: tf.Tensor;
  /** int32 [L]: the positions in the whole sequence, ascending. */
  readonly positions: tf.Tensor;
  /** float32 [R, L]: 0, or -1e9 where a position is padding. */
  readonly mask: tf.Tensor;
}

/** Embedded positions, and what their blocks read besides. */
export interface AdvanceInputs<C extends Condition = tf.Tensor> extends Omit<EmbeddedPositions, "mask"> {
  /** For bodies whose layers read it too. */
  readonly condition: C;
  /** As {@link EmbeddedPositions.mask}; left out where no position is padding. */
  readonly mask?: tf.Tensor | undefined;
  readonly cache?: BodyCache | undefined;
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

/** The condition's positions, 0 … C-1. */
export function embedPrefix<C extends Condition>(
  backbone: Backbone<C>,
  params: Params,
  condition: C,
): EmbeddedPositions {
  const x = backbone.embedCondition(params, condition); // [R, C, D]
  const positions =
    backbone.conditionPositions === undefined ? countPositions(x) : tf.range(0, x.shape[1]!, 1, "int32");
  return { x, positions, mask: backbone.conditionMask?.(condition) ?? tf.zerosLike(tf.sum(x, -1)) };
}

/** 0 … L-1 for x [R, L, D], as a running count and not as a constant, so that L may be symbolic in a traced graph. */
function countPositions(x: tf.Tensor): tf.Tensor {
  const ones = tf.onesLike(tf.cast(tf.reshape(tf.slice(x, [0, 0, 0], [1, -1, 1]), [-1]), "int32"));
  return tf.sub(tf.cumsum(ones), tf.scalar(1, "int32"));
}

/** Runs L positions and predicts what follows the last of them. */
export function advance<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { x, ...inputs }: AdvanceInputs<C>,
): DecodeOutputs {
  const [, positions] = expectShape("advance", "x", x, ["R", "L", sizes.width]) as [number, number];
  const { hidden, keys, values } = backbone.body(params, x, inputs);
  const last = positions === 1 ? hidden : tf.slice(hidden, [0, positions - 1, 0], [-1, 1, sizes.width]);
  const states = windowStates(sizes, params, last); // [R, k, D]
  return { keys, values, ...predictions(backbone, sizes, params, states) };
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
  const x = embedPositions(backbone, sizes, params, {
    condition,
    windows: tf.expandDims(window, 1),
    positions: position,
  });
  return advance(backbone, sizes, params, { x, positions: position, condition, cache: { keys, values, mask } });
}

export function decodePositions<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, positions, mask, keys, values }: DecodePositionsInputs<C>,
): DecodeOutputs {
  const { windowSize, width } = sizes;
  expectShape("decodePositions", "windows", windows, ["R", "L", windowSize]);
  const length = windows.shape[1]!;
  expectShape("decodePositions", "positions", positions, ["R", length]);
  expectShape("decodePositions", "mask", mask, ["R", "S"]);
  const x = embedPositions(backbone, sizes, params, { condition, windows, positions }); // [R, L, D]
  const output = backbone.body(params, x, { positions, condition, cache: { keys, values, mask } });
  const states = tf.reshape(windowStates(sizes, params, output.hidden), [-1, length, windowSize, width]);
  return { keys: output.keys, values: output.values, ...predictions(backbone, sizes, params, states) };
}

/** What states [..., k, D] predict at once, and the states where more follows. */
function predictions<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  states: tf.Tensor,
): Pick<DecodeOutputs, "logits" | "states"> {
  if (!isChained(sizes)) return { logits: backbone.head(params, states), ...(backbone.factors && { states }) };
  const [first] = tf.split(states, [1, sizes.windowSize - 1], states.rank - 2) as [tf.Tensor];
  return { logits: backbone.head(params, first), states };
}

/** Windows [R, L, k] as positions [R, L, D]; where the condition has one position, position 0 is the condition's. */
function embedPositions<C extends Condition>(
  backbone: Backbone<C>,
  sizes: ModuleSizes,
  params: Params,
  { condition, windows, positions }: Pick<DecodePositionsInputs<C>, "condition" | "windows" | "positions">,
): tf.Tensor {
  const x = embedWindows(backbone, sizes, params, windows, undefined);
  if (backbone.conditionPositions !== 1) return x;
  const first = tf.expandDims(tf.cast(tf.equal(positions, tf.scalar(0, "int32")), "float32"), -1); // [L, 1] or [R, L, 1]
  const prefix = tf.mul(backbone.embedCondition(params, condition), first); // [R, L, D]
  return tf.add(prefix, tf.mul(x, tf.sub(1, first))); // exact: one of the two is 0
}
