import * as tf from "@tensorflow/tfjs-core";
import type { Backbone } from "./backbone";
import { ShapeError, TensorARError } from "./errors";
import { inputEncoder } from "./input-encoder";
import { type ModuleSizes, moduleInitial, moduleShapes, moduleSizes, type TensorAROptions } from "./modules";
import { outputDecoder } from "./output-decoder";
import { initialise, type ParameterShapes, type Params } from "./parameters";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · T tokens · L slots · k window · C condition slots · D width · V codes · S cached slots

export interface ForwardInputs {
  /** int32 [R] */
  readonly condition: tf.Tensor;
  /** int32 [R, T-1, k]: input tensors X*[0] … X*[T-2], PAD = -1 past the end. */
  readonly windows: tf.Tensor;
}

export interface DecodeInputs {
  /** int32 [R]; read at slot 0. */
  readonly condition: tf.Tensor;
  /** int32 [R, k]: the previous tensor, PAD = -1 past the end; read at later slots, anything at slot 0. */
  readonly window: tf.Tensor;
  /** int32 [1]: the slot, 0 … T-1. */
  readonly position: tf.Tensor;
  /** float32 [R, S]: 0 where a cached slot is filled, -1e9 where not. */
  readonly mask: tf.Tensor;
  /** One per layer: [R, Hkv, Dh, S]. */
  readonly keys: readonly tf.Tensor[];
  /** One per layer: [R, Hkv, S, Dh]. */
  readonly values: readonly tf.Tensor[];
}

export interface DecodeOutputs {
  /** [R, k, V]: predictions of X[position]. */
  readonly logits: tf.Tensor;
  /** New rows of the cache, one per layer: [R, Hkv, Dh, 1]. */
  readonly keys: tf.Tensor[];
  /** [R, Hkv, 1, Dh] */
  readonly values: tf.Tensor[];
}

/** A backbone that predicts the next k tokens from tensors of k tokens. All functions are pure. */
export interface TensorARModel {
  readonly backbone: Backbone;
  /** k */
  readonly windowSize: number;
  /** Shapes of all parameters, the backbone's and the modules' (`tensorar.…`). */
  readonly shapes: ParameterShapes;
  /** Fresh modules, which leave the base model's logits as they are; empty for window 1. The caller owns them. */
  initModules(seed: number): Params;
  /** Training and evaluation: logits [R, T, k, V] of X[0] … X[T-1]. The caller owns them. */
  forward(params: Params, inputs: ForwardInputs): tf.Tensor;
  /** One slot of the generation loop, for backbones with one condition slot. The caller owns the results. */
  decode(params: Params, inputs: DecodeInputs): DecodeOutputs;
}

/**
 * Attaches TensorAR's input encoder and output decoder to a backbone. Window 1 is the backbone itself, without modules.
 * Source: Cheng et al. 2026, next-tensor prediction.
 *
 * @throws TensorARError when the options do not fit the backbone
 */
export function attachTensorAR(backbone: Backbone, options: TensorAROptions): TensorARModel {
  const sizes = moduleSizes(backbone, options);
  const shapes = moduleShapes(sizes);
  return {
    backbone,
    windowSize: sizes.windowSize,
    shapes: { ...backbone.shapes, ...shapes },
    initModules: (seed) => initialise(shapes, seed, moduleInitial(sizes)),
    forward: (params, inputs) => tidy(() => forward(backbone, sizes, params, inputs)),
    decode: (params, inputs) => tidy(() => decode(backbone, sizes, params, inputs)),
  };
}

/** Rows that a training batch has at least, as a rule; decides how windows are embedded, never the result. */
const USUAL_ROWS = 8;

function forward(backbone: Backbone, sizes: ModuleSizes, params: Params, { condition, windows }: ForwardInputs) {
  const { tokens, conditionSlots, width, vocabSize } = backbone;
  const { windowSize } = sizes;
  expectShape("forward", "condition", condition, ["R"]);
  expectWindow("forward", windows, [tokens - 1], windowSize);
  const prefix = backbone.embedCondition(params, condition); // [R, C, D]
  // Independent of the batch size, so that traced graphs of any batch are the same.
  const sharedCodes = vocabSize <= USUAL_ROWS * tokens * windowSize ? vocabSize : undefined;
  const image = embedWindows(backbone, sizes, params, windows, sharedCodes);
  const x = tf.concat([prefix, image], 1); // [R, C + T - 1, D]
  const positions = tf.range(0, conditionSlots + tokens - 1, 1, "int32");
  const { hidden } = backbone.trunk(params, x, { positions });
  const predicting = conditionSlots === 1 ? hidden : tf.slice(hidden, [0, conditionSlots - 1, 0], [-1, tokens, width]);
  return tf.reshape(windowLogits(backbone, sizes, params, predicting), [-1, tokens, windowSize, vocabSize]);
}

function decode(backbone: Backbone, sizes: ModuleSizes, params: Params, inputs: DecodeInputs): DecodeOutputs {
  const { condition, window, position, mask, keys, values } = inputs;
  if (backbone.conditionSlots !== 1) {
    throw new TensorARError(
      `decode: the backbone has ${backbone.conditionSlots} condition slots, decode serves 1; prefill with backbone.trunk`,
    );
  }
  expectShape("decode", "condition", condition, ["R"]);
  expectWindow("decode", window, [], sizes.windowSize);
  expectShape("decode", "position", position, [1]);
  expectShape("decode", "mask", mask, ["R", "S"]);
  const first = tf.cast(tf.equal(position, tf.scalar(0, "int32")), "float32"); // [1]
  const prefix = tf.mul(backbone.embedCondition(params, condition), first); // [R, 1, D]
  const image = tf.mul(embedWindows(backbone, sizes, params, tf.expandDims(window, 1), undefined), tf.sub(1, first));
  const x = tf.add(prefix, image); // exact: one of the two is 0
  const output = backbone.trunk(params, x, { positions: position, cache: { keys, values, mask } });
  return { ...withoutHidden(output), logits: windowLogits(backbone, sizes, params, output.hidden) };
}

const withoutHidden = ({ keys, values }: { keys: tf.Tensor[]; values: tf.Tensor[] }) => ({ keys, values });

/** e_i of every window: [R, L, k] → [R, L, D]. `sharedCodes` as in {@link inputEncoder}. */
function embedWindows(
  backbone: Backbone,
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

/** Logits of the k entries from hidden states [R, L, D]: [R · L, k, V]. */
function windowLogits(backbone: Backbone, sizes: ModuleSizes, params: Params, hidden: tf.Tensor): tf.Tensor {
  const { windowSize, width } = sizes;
  const flat = tf.reshape(hidden, [-1, width]) as tf.Tensor2D; // [N, D]
  const states = windowSize === 1 ? flat : tf.reshape(outputDecoder(params, sizes, flat), [-1, width]);
  return tf.reshape(backbone.head(params, states), [-1, windowSize, backbone.vocabSize]);
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
