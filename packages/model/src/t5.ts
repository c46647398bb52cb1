import { MASK_VALUE } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { geluTanh } from "./ops/gelu";
import { embed, linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { type ParameterShapes, type Params, parameter } from "./parameters";
import { expectShape } from "./shapes";
import { BIAS, checkT5Config, type T5Config, t5Shapes } from "./t5-config";
import { tidy } from "./tidy";

// B texts · T tokens · D width · H heads · Dh head width · F feed-forward width

/** A batch of tokenized texts. */
export interface T5Inputs {
  /** int32 [B, T]: tokens of texts, padded to one length. */
  readonly ids: tf.Tensor;
  /** int32 or float32 [B, T]: 1, or 0 where a token is padding. */
  readonly mask: tf.Tensor;
}

/** T5's encoder as pure functions. */
export interface T5Encoder {
  /** D */
  readonly width: number;
  /** Tokens are smaller than this. */
  readonly vocabSize: number;
  /** Shape of every parameter by name. */
  readonly shapes: ParameterShapes;
  /** → [B, T, D]; what stands at padding has no meaning. */
  encode(params: Params, inputs: T5Inputs): tf.Tensor;
  /** What goes into each block, and what comes out of the last: [B, T, D] each; the last after the final norm. */
  hiddenStates(params: Params, inputs: T5Inputs): tf.Tensor[];
  /** What is added to the scores of all blocks: [H, T, T]. @param ids int32 [B, T], of which the length is read */
  positionBias(params: Params, ids: tf.Tensor): tf.Tensor;
}

/**
 * The encoder of T5 v1.1 and flan-T5. All functions are pure; the caller owns what they return.
 *
 * Source: Raffel et al. 2020; Shazeer 2020 (gated GELU); transformers `models/t5/modeling_t5.py`.
 *
 * @throws TensorARError when the config describes no encoder
 */
export function t5Encoder(config: T5Config): T5Encoder {
  checkT5Config(config);
  const { d_model: width, num_layers, layer_norm_epsilon: epsilon } = config;
  const shapes = t5Shapes(config);
  const weightsOf =
    (params: Params): Weights =>
    (name) =>
      parameter(params, name, shapes[name]!);
  const buckets = bucketsOfDistances(config);
  const positionBias = (params: Params, ids: tf.Tensor): tf.Tensor =>
    tf.transpose(tf.gather(weightsOf(params)<tf.Tensor2D>(BIAS), bucketsOfPairs(config, buckets, ids)), [2, 0, 1]); // [H, T, T]

  const hiddenStates = (params: Params, { ids, mask }: T5Inputs): tf.Tensor[] => {
    const [, tokens] = expectShape("t5", "ids", ids, ["B", "T"]) as [number, number];
    expectShape("t5", "mask", mask, ["B", tokens]);
    const weight = weightsOf(params);
    const hidden = tf.mul(tf.sub(1, tf.cast(mask, "float32")), MASK_VALUE); // [B, T]
    const added = tf.add(positionBias(params, ids), tf.expandDims(tf.expandDims(hidden, 1), 1)); // [B, H, T, T]
    let x = tf.reshape(embed(weight("shared.weight"), ids), [-1, width]) as tf.Tensor2D; // [B · T, D]
    const states = [x];
    for (let layer = 0; layer < num_layers; layer++) {
      x = block(config, (name) => weight(`encoder.block.${layer}.layer.${name}.weight`), x, added, tokens);
      states.push(x);
    }
    states[num_layers] = rmsNorm(x, weight("encoder.final_layer_norm.weight"), epsilon);
    return states.map((state) => tf.reshape(state, [-1, tokens, width]));
  };

  return {
    width,
    vocabSize: config.vocab_size,
    shapes,
    encode: (params, inputs) => tidy(() => hiddenStates(params, inputs).at(-1)!),
    hiddenStates: (params, inputs) => tidy(() => hiddenStates(params, inputs)),
    positionBias: (params, ids) => tidy(() => positionBias(params, ids)),
  };
}

type Weights = <T extends tf.Tensor>(name: string) => T;

/** One block: x [B · T, D] → [B · T, D]. @param added to the scores, [B, H, T, T] */
function block(
  { num_heads, d_kv, layer_norm_epsilon: epsilon }: T5Config,
  weight: Weights,
  x: tf.Tensor2D,
  added: tf.Tensor,
  tokens: number,
): tf.Tensor2D {
  const heads = (input: tf.Tensor2D, name: string) => {
    const projected = linear(input, weight(`0.SelfAttention.${name}`)); // [B · T, H · Dh]
    return tf.transpose(tf.reshape(projected, [-1, tokens, num_heads, d_kv]), [0, 2, 1, 3]); // [B, H, T, Dh]
  };
  const normed = rmsNorm(x, weight("0.layer_norm"), epsilon);
  const scores = tf.matMul(heads(normed, "q"), heads(normed, "k"), false, true); // [B, H, T, T]; T5 does not scale them
  const mixed = tf.matMul(tf.softmax(tf.add(scores, added)), heads(normed, "v")); // [B, H, T, Dh]
  const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, num_heads * d_kv]);
  const attended = tf.add(x, linear(joined, weight("0.SelfAttention.o"))) as tf.Tensor2D;

  const input = rmsNorm(attended, weight("1.layer_norm"), epsilon);
  const through = (name: string) => linear(input, weight(`1.DenseReluDense.${name}`)); // [B · T, F]
  const gated = tf.mul(geluTanh(through("wi_0")), through("wi_1"));
  return tf.add(attended, linear(gated, weight("1.DenseReluDense.wo"))) as tf.Tensor2D;
}

/** The bucket of every pair of tokens, [T, T]. @param buckets by distance @param ids [B, T] */
function bucketsOfPairs(config: T5Config, buckets: Int32Array, ids: tf.Tensor): tf.Tensor2D {
  const positions = countTokens(ids);
  const ahead = tf.sub(tf.expandDims(positions, 0), tf.expandDims(positions, 1)); // [T, T]: how far the key is ahead
  const distance = tf.minimum(tf.abs(ahead), tf.scalar(buckets.length - 1, "int32"));
  // Gathered by indices of two axes: flat, they would be T², which no graph with a symbolic T can say.
  const behind = tf.gather(tf.tensor1d(buckets, "int32"), distance); // [T, T]
  const isLater = tf.cast(tf.greater(ahead, tf.scalar(0, "int32")), "int32");
  return tf.add(behind, tf.mul(isLater, tf.scalar(halfOf(config), "int32")));
}

const halfOf = ({ relative_attention_num_buckets }: T5Config): number => relative_attention_num_buckets / 2;

/**
 * The bucket of a token 0, 1, 2, … places behind: short distances have one each, longer ones share them by logarithm. In
 * float32 as the original computes it, since the last bit decides where a bucket begins.
 */
function bucketsOfDistances(config: T5Config): Int32Array {
  const half = halfOf(config);
  const exact = half / 2;
  const { relative_attention_max_distance: most } = config;
  const range = Math.fround(Math.log(most / exact));
  return Int32Array.from({ length: most + 1 }, (_, distance) => {
    if (distance < exact) return distance;
    const logarithm = Math.fround(Math.log(Math.fround(distance / exact)));
    const fraction = Math.fround(Math.fround(logarithm / range) * (half - exact));
    return Math.min(exact + Math.floor(fraction), half - 1);
  });
}

/** 0 … T-1 for ids [B, T], as a running count, so that T may be symbolic in a traced graph. */
function countTokens(ids: tf.Tensor): tf.Tensor {
  const ones = tf.onesLike(tf.reshape(tf.slice(ids, [0, 0], [1, -1]), [-1]));
  return tf.sub(tf.cumsum(ones), tf.scalar(1, "int32"));
}
