import * as tf from "@tensorflow/tfjs-core";
import { attention, causalMask, type LayerCache } from "./attention";
import type { Backbone, BodyCache, BodyOutput } from "./backbone";
import { layerCaches } from "./cache";
import { gelu } from "./ops/gelu";
import { layerNorm, normalise } from "./ops/layer-norm";
import { embed, linear } from "./ops/linear";
import { silu } from "./ops/swiglu";
import { type Params, parameter } from "./parameters";
import { checkRarConfig, type RarConfig, rarShapes } from "./rar-config";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · T tokens · L positions · N = R · L · D width · H heads · Dh head width · V codes

const EPSILON = 1e-6;
/** Positions before the image: a learned token, and the class. */
const PREFIX = 2;

/**
 * RAR's class-conditional generator in raster order, which is how it generates. Source: `modeling/rar.py` of
 * bytedance/1d-tokenizer. Differs: dropout is left out; classes are 0 … condition_num_classes - 1, and
 * condition_num_classes stands for none.
 *
 * @throws TensorARError when the config describes no model
 */
export function rar(config: RarConfig): Backbone {
  checkRarConfig(config);
  const { hidden_size: width, num_attention_heads: heads, image_seq_len: tokens } = config;
  const weights = weightsOf(config);
  return {
    width,
    vocabSize: config.codebook_size,
    tokens,
    conditionPositions: PREFIX,
    condition: { dtype: "int32", shape: [] },
    unconditionalClass: config.condition_num_classes,
    cache: { layers: config.num_hidden_layers, heads, headDim: width / heads },
    shapes: weights.shapes,

    embedCondition: (params, condition) =>
      tidy(() => {
        expectShape("embedCondition", "condition", condition, ["R"]);
        const ofClass = embedClass(weights(params), config, condition); // [R, 1, D]
        return tf.concat([tf.add(tf.zerosLike(ofClass), weights(params)("cls_token")), ofClass], 1); // [R, 2, D]
      }),

    embedCodes: (params, codes) => tidy(() => embed(weights(params)("embeddings.weight"), codes)),

    body: (params, x, { positions, condition, cache }) =>
      tidy(() => {
        const weight = weights(params);
        expectShape("body", "x", x, ["R", "L", width]);
        const placed = tf.add(x, placesOf(weight, positions, positions, tokens)); // [R, L, D]
        return blocks(weight, config, placed, conditionAt(weight, config, condition, positions), {
          positions,
          cache,
        });
      }),

    head: (params, hidden) => tidy(() => affine(weights(params), "lm_head", hidden)),
  };
}

/** What RAR reads in training, in any order of tokens. */
export interface RarForwardInputs {
  /** int32 [R, T]: codes in raster order. */
  readonly tokens: tf.Tensor;
  /** int32 [R]: classes. */
  readonly condition: tf.Tensor;
  /** int32 [R, T]: for each row, the positions in the order in which they are predicted. */
  readonly orders: tf.Tensor;
}

/**
 * The training pass over any order: position i of the sequence predicts token orders[i] of the image. The caller owns the result.
 * Source: `RAR.forward_fn` with `is_sampling=False`.
 *
 * @returns logits [R, T + 1, V]; the last position has nothing to predict
 */
export function rarForward(params: Params, config: RarConfig, inputs: RarForwardInputs): tf.Tensor {
  const backbone = rar(config);
  const weight = weightsOf(config)(params);
  const { image_seq_len: T } = config;
  return tidy(() => {
    const [R] = expectShape("rarForward", "tokens", inputs.tokens, ["R", T]) as [number, number];
    expectShape("rarForward", "orders", inputs.orders, ["R", T]);
    const ordered = tf.gather(inputs.tokens, inputs.orders as tf.Tensor2D, 1, 1); // [R, T]
    const x = tf.concat([backbone.embedCondition(params, inputs.condition), backbone.embedCodes(params, ordered)], 1); // [R, 2 + T, D]
    const positions = tf.range(0, PREFIX + T, 1, "int32");
    // Cell of the raster order whose place and whose target each position has.
    const prefix = tf.tile(tf.tensor2d([[0, 1]], [1, PREFIX], "int32"), [R, 1]);
    const moved = tf.add(inputs.orders, tf.scalar(PREFIX, "int32"));
    const places = tf.concat([prefix, moved], 1); // [R, 2 + T]
    const end = tf.tile(tf.tensor2d([[T + 1]], [1, 1], "int32"), [R, 1]);
    const targets = tf.concat([tf.zeros([R, 1], "int32"), tf.sub(moved, tf.scalar(1, "int32")), end], 1);
    const placed = tf.add(x, placesOf(weight, places, targets, T));
    const { hidden } = blocks(weight, config, placed, conditionAt(weight, config, inputs.condition, positions), {
      positions,
    });
    return backbone.head(params, tf.slice(hidden, [0, 1, 0], [-1, T + 1, -1]));
  });
}

type Weights = <T extends tf.Tensor>(name: string) => T;

function weightsOf(config: RarConfig) {
  const shapes = rarShapes(config);
  const of =
    (params: Params): Weights =>
    <T extends tf.Tensor>(name: string) =>
      parameter<T>(params, name, shapes[name]!);
  return Object.assign(of, { shapes });
}

const affine = (weight: Weights, name: string, x: tf.Tensor): tf.Tensor =>
  tf.add(linear(x, weight(`${name}.weight`)), weight(`${name}.bias`));

/** [R] → [R, 1, D]. Rows of the table: codes, a mask, classes, none. */
function embedClass(weight: Weights, config: RarConfig, condition: tf.Tensor): tf.Tensor {
  const rows = tf.add(condition, tf.scalar(config.codebook_size + 1, "int32"));
  return tf.expandDims(embed(weight("embeddings.weight"), rows), 1);
}

/**
 * A position's own place, and the place of the token that it predicts: the one after `targets`, if that lies in the image.
 * @param places int32 [..., L] and targets int32 [..., L]: cells of the raster order
 * @returns [..., L, D]
 */
function placesOf(weight: Weights, places: tf.Tensor, targets: tf.Tensor, tokens: number): tf.Tensor {
  const table = (name: string) => tf.squeeze(weight(name), [0]) as tf.Tensor2D;
  const one = tf.scalar(1, "int32");
  const inside = tf.logicalAnd(tf.greaterEqual(targets, one), tf.lessEqual(targets, tf.scalar(tokens, "int32")));
  const ofTarget = embed(table("target_aware_pos_embed"), tf.add(targets, one));
  return tf.add(embed(table("pos_embed"), places), tf.mul(ofTarget, tf.expandDims(tf.cast(inside, "float32"), -1)));
}

/** What the adaptive norms read: the class and the position. [R, L, D] */
function conditionAt(weight: Weights, config: RarConfig, condition: tf.Tensor, positions: tf.Tensor): tf.Tensor {
  const steps = embed(tf.squeeze(weight("timesteps_embeddings"), [0]) as tf.Tensor2D, positions); // [L, D]
  return tf.add(embedClass(weight, config, condition), steps);
}

type Six = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** All blocks and the last adaptive norm. */
function blocks(
  weight: Weights,
  config: RarConfig,
  x: tf.Tensor,
  condition: tf.Tensor,
  inputs: { readonly positions: tf.Tensor; readonly cache?: BodyCache | undefined },
): BodyOutput {
  const { hidden_size: width } = config;
  const length = x.shape[1]!;
  const active = silu(tf.reshape(condition, [-1, width]) as tf.Tensor2D); // [N, D]
  const output: BodyOutput = { hidden: x, keys: [], values: [] };
  const own = causalMask(inputs.positions, { group: 1 });
  let h = tf.reshape(x, [-1, width]); // [N, D]
  for (const [layer, cached] of layerCaches(inputs.cache, config.num_hidden_layers).entries()) {
    const block: Weights = (name) => weight(`blocks.${layer}.${name}`);
    const modulation = affine(block, "adaLN_modulation.1", active); // [N, 6 · D]
    const [shift1, scale1, gate1, shift2, scale2, gate2] = tf.split(modulation, 6, 1) as Six;
    const norm = (name: string) => layerNorm(h, block(`${name}.weight`), block(`${name}.bias`), EPSILON);
    const attended = selfAttention(block, config, modulate(norm("norm1"), shift1, scale1), {
      length,
      own,
      cache: cached,
    });
    h = tf.add(h, tf.mul(gate1, attended.output));
    const inner = gelu(affine(block, "mlp.fc1", modulate(norm("norm2"), shift2, scale2)));
    h = tf.add(h, tf.mul(gate2, affine(block, "mlp.fc2", inner)));
    output.keys.push(attended.keys);
    output.values.push(attended.values);
  }
  const [scale, shift] = tf.split(affine(weight, "adaln_before_head.adaLN_modulation.1", active), 2, 1) as [
    tf.Tensor,
    tf.Tensor,
  ];
  const hidden = modulate(normalise(h, EPSILON), shift, scale);
  return { ...output, hidden: tf.reshape(hidden, [-1, length, width]) };
}

const modulate = (x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(x, tf.add(scale, 1)), shift);

function selfAttention(
  block: Weights,
  { hidden_size: width, num_attention_heads: heads }: RarConfig,
  x: tf.Tensor,
  {
    length,
    own,
    cache,
  }: {
    readonly length: number;
    readonly own: tf.Tensor | undefined;
    readonly cache: LayerCache | undefined;
  },
) {
  const headDim = width / heads;
  const qkv = tf.reshape(affine(block, "attn.qkv", x), [-1, length, 3 * heads, headDim]);
  const [q, k, values] = tf.split(tf.transpose(qkv, [0, 2, 1, 3]), 3, 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const scale = 1 / Math.sqrt(headDim); // on the norm's weights, so that it costs nothing
  const queries = layerNorm(
    q,
    tf.mul(block("attn.q_norm.weight"), scale),
    tf.mul(block("attn.q_norm.bias"), scale),
    EPSILON,
  ); // [R, H, L, Dh]
  const keys = layerNorm(k, block("attn.k_norm.weight"), block("attn.k_norm.bias"), EPSILON);
  const mixed = attention(queries, keys, values, { own, cache });
  const rows = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, width]);
  return { output: affine(block, "attn.proj", rows), keys, values };
}
