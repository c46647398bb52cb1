import { quote, TensorARError } from "@tensorar/core";
import type { ParameterShapes } from "./parameters";

/** A T5 encoder of version 1.1, as flan-T5 is one: the keys of the original's `config.json`; others are ignored. */
export interface T5Config {
  readonly vocab_size: number;
  /** D */
  readonly d_model: number;
  /** Dh: width of a head; H · Dh need not be D. */
  readonly d_kv: number;
  readonly num_heads: number;
  readonly num_layers: number;
  readonly d_ff: number;
  /** Distances between tokens fall into so many buckets, half of them for each direction. */
  readonly relative_attention_num_buckets: number;
  /** From this distance on all fall into the last one. */
  readonly relative_attention_max_distance: number;
  readonly feed_forward_proj: "gated-gelu";
  readonly layer_norm_epsilon: number;
}

const V1_1 = {
  vocab_size: 32128,
  d_kv: 64,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  feed_forward_proj: "gated-gelu",
  layer_norm_epsilon: 1e-6,
} as const;

/** Sizes of the published models. Source: `config.json` of google/flan-t5-base, -large, -xl and -xxl. */
export const T5_SIZES = {
  "flan-t5-base": { ...V1_1, d_model: 768, num_heads: 12, num_layers: 12, d_ff: 2048 },
  "flan-t5-large": { ...V1_1, d_model: 1024, num_heads: 16, num_layers: 24, d_ff: 2816 },
  "flan-t5-xl": { ...V1_1, d_model: 2048, num_heads: 32, num_layers: 24, d_ff: 5120 },
  "flan-t5-xxl": { ...V1_1, d_model: 4096, num_heads: 64, num_layers: 24, d_ff: 10240 },
} as const satisfies Readonly<Record<string, T5Config>>;

/** Published sizes of T5 v1.1 and flan-T5. */
export type T5Size = keyof typeof T5_SIZES;

/** @throws TensorARError when the config describes no encoder, or one of the first version */
export function checkT5Config(config: T5Config): void {
  const { vocab_size, d_model, d_kv, num_heads, num_layers, d_ff, ...others } = config;
  const { relative_attention_num_buckets, relative_attention_max_distance, layer_norm_epsilon } = others;
  const counts = {
    vocab_size,
    d_model,
    d_kv,
    num_heads,
    num_layers,
    d_ff,
    relative_attention_num_buckets,
    relative_attention_max_distance,
  };
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1)
      throw new TensorARError(`t5: ${key} = ${quote(value)}; use a positive integer`);
  }
  if (!(layer_norm_epsilon > 0 && Number.isFinite(layer_norm_epsilon)))
    throw new TensorARError(`t5: layer_norm_epsilon = ${quote(layer_norm_epsilon)}; use a positive number`);
  if (relative_attention_num_buckets % 4 !== 0 || relative_attention_max_distance <= relative_attention_num_buckets / 4)
    throw new TensorARError(
      `t5: ${relative_attention_num_buckets} buckets for distances up to ${relative_attention_max_distance}; use a multiple of 4, and a larger distance`,
    );
  if (config.feed_forward_proj !== "gated-gelu")
    throw new TensorARError(
      `t5: feed_forward_proj = ${quote(config.feed_forward_proj)}: only "gated-gelu" is supported, as T5 v1.1 and flan-T5 have it`,
      { code: "unsupported" },
    );
}

/** Shape of every parameter of the encoder, by the original's names. */
export function t5Shapes(config: T5Config): ParameterShapes {
  const { d_model: D, d_ff, num_heads, d_kv } = config;
  const inner = num_heads * d_kv;
  const shapes: Record<string, number[]> = { "shared.weight": [config.vocab_size, D] };
  for (let layer = 0; layer < config.num_layers; layer++) {
    const [attention, feedForward] = [`encoder.block.${layer}.layer.0`, `encoder.block.${layer}.layer.1`];
    for (const name of ["q", "k", "v"]) shapes[`${attention}.SelfAttention.${name}.weight`] = [inner, D];
    shapes[`${attention}.SelfAttention.o.weight`] = [D, inner];
    if (layer === 0) shapes[BIAS] = [config.relative_attention_num_buckets, num_heads];
    shapes[`${attention}.layer_norm.weight`] = [D];
    shapes[`${feedForward}.DenseReluDense.wi_0.weight`] = [d_ff, D];
    shapes[`${feedForward}.DenseReluDense.wi_1.weight`] = [d_ff, D];
    shapes[`${feedForward}.DenseReluDense.wo.weight`] = [D, d_ff];
    shapes[`${feedForward}.layer_norm.weight`] = [D];
  }
  shapes["encoder.final_layer_norm.weight"] = [D];
  return shapes;
}

/** The first block's table of biases, which all blocks share. */
export const BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
