import { quote, TensorARError } from "@tensorar/core";
import { expectBelow, MOST_HEAD_WIDTH, MOST_LAYERS, MOST_TOKENS } from "./limits";
import { initialise, type ParameterShapes, type Params } from "./parameters";

/**
 * LlamaGen's decoder, the original's keys (`ModelArgs` of `autoregressive/models/gpt.py`). The original's dropout
 * inside the network has no keys here: it is not implemented.
 */
export interface LlamaGenConfig {
  /** "c2i": conditioned on a class; "t2i": on features of a caption. */
  readonly model_type: "c2i" | "t2i";
  readonly dim: number;
  readonly n_layer: number;
  readonly n_head: number;
  /** Heads of keys and values; default `n_head`. */
  readonly n_kv_head?: number;
  /** The hidden width of the feed-forward is rounded up to a multiple of this. */
  readonly multiple_of: number;
  readonly ffn_dim_multiplier?: number;
  /** Default 10000. */
  readonly rope_base?: number;
  /** Default 1e-5. */
  readonly norm_eps?: number;
  /** Standard deviation of fresh weights; default 0.02. */
  readonly initializer_range?: number;
  /** V */
  readonly vocab_size: number;
  /** T, a square number. */
  readonly block_size: number;
  /** Not read by "t2i". */
  readonly num_classes: number;
  /** C: 1 for classes, 120 in the original for captions. */
  readonly cls_token_num: number;
  /** Above 0 the label table holds one more row, the unconditional class. */
  readonly class_dropout_prob: number;
  /** Width of the caption's features, of "t2i" only; default 2048. */
  readonly caption_dim?: number;
}

/** Depth, heads and width of the published sizes. Source: the end of LlamaGen `autoregressive/models/gpt.py`. */
export const LLAMAGEN_SIZES = {
  "GPT-B": { n_layer: 12, n_head: 12, dim: 768 },
  "GPT-L": { n_layer: 24, n_head: 16, dim: 1024 },
  "GPT-XL": { n_layer: 36, n_head: 20, dim: 1280 },
  "GPT-XXL": { n_layer: 48, n_head: 24, dim: 1536 },
  "GPT-3B": { n_layer: 24, n_head: 32, dim: 3200 },
} as const;

/** Published sizes of LlamaGen. */
export type LlamaGenSize = keyof typeof LLAMAGEN_SIZES;

/** Config of a published size with the original's defaults: 256 tokens, 16384 codes, 1000 classes. */
export function llamaGenConfig(size: LlamaGenSize, overrides: Partial<LlamaGenConfig> = {}): LlamaGenConfig {
  return {
    model_type: "c2i",
    ...LLAMAGEN_SIZES[size],
    multiple_of: 256,
    vocab_size: 16384,
    block_size: 256,
    num_classes: 1000,
    cls_token_num: 1,
    class_dropout_prob: 0.1,
    ...overrides,
  };
}

/**
 * Config of the text-conditional model with the original's defaults: 256 tokens, captions of 120 positions, features 2048
 * wide (those of Flan-T5 XL).
 */
export function llamaGenTextConfig(size: LlamaGenSize, overrides: Partial<LlamaGenConfig> = {}): LlamaGenConfig {
  return llamaGenConfig(size, { model_type: "t2i", cls_token_num: 120, caption_dim: 2048, ...overrides });
}

/** Sizes that follow from a config. */
export interface LlamaGenSizes {
  readonly headDim: number;
  readonly keyHeads: number;
  /** Width inside the feed-forward. */
  readonly hidden: number;
  /** Side of the square grid of tokens. */
  readonly grid: number;
}

/** Of Flan-T5 XL, with which the original was trained. */
const CAPTION_WIDTH = 2048;

/** @throws TensorARError when the config describes no model */
export function llamaGenSizes(config: LlamaGenConfig): LlamaGenSizes {
  const { dim, n_head, n_kv_head: keyHeads = n_head, block_size, cls_token_num, multiple_of } = config;
  const refuse = (what: string): never => {
    throw new TensorARError(`llamaGen: ${what}`);
  };
  if (config.model_type !== "c2i" && config.model_type !== "t2i")
    refuse(`model_type ${quote(config.model_type)} is unknown; use "c2i" or "t2i"`);
  if (config.model_type === "c2i" && cls_token_num !== 1)
    refuse(`cls_token_num ${quote(cls_token_num)} does not fit model_type "c2i"; use 1`);
  const { dim: D, n_layer, vocab_size, num_classes, caption_dim = CAPTION_WIDTH } = config;
  const counts = {
    dim: D,
    n_layer,
    n_head,
    multiple_of,
    vocab_size,
    block_size,
    cls_token_num,
    num_classes,
    caption_dim,
  };
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) refuse(`${key} = ${quote(value)}; use a positive integer`);
  }
  expectBelow("llamaGen", { n_layer }, MOST_LAYERS);
  expectBelow("llamaGen", { block_size, cls_token_num }, MOST_TOKENS);
  if (dim % n_head !== 0) refuse(`dim ${dim} is not a multiple of n_head ${n_head}; change one of them`);
  if (n_head % keyHeads !== 0)
    refuse(`n_head ${n_head} is not a multiple of n_kv_head ${keyHeads}; change one of them`);
  const headDim = dim / n_head;
  expectBelow("llamaGen", { "dim / n_head": headDim }, MOST_HEAD_WIDTH);
  if (headDim % 4 !== 0) refuse(`head width ${headDim} (dim / n_head) is not a multiple of 4, which 2-D RoPE needs`);
  const grid = Math.round(Math.sqrt(block_size));
  if (grid * grid !== block_size) refuse(`block_size ${block_size} is not a square; use 64, 256, 576, …`);
  const third = Math.floor((2 * 4 * dim) / 3);
  const scaled = config.ffn_dim_multiplier === undefined ? third : Math.floor(config.ffn_dim_multiplier * third);
  return { headDim, keyHeads, hidden: Math.ceil(scaled / multiple_of) * multiple_of, grid };
}

/** Shape of every parameter, in the original's order and by its names. */
export function llamaGenShapes(config: LlamaGenConfig): ParameterShapes {
  const { dim, n_head, vocab_size } = config;
  const { headDim, keyHeads, hidden } = llamaGenSizes(config);
  const shapes: Record<string, number[]> = {
    ...conditionShapes(config),
    "tok_embeddings.weight": [vocab_size, dim],
  };
  for (let layer = 0; layer < config.n_layer; layer++) {
    Object.assign(shapes, {
      [`layers.${layer}.attention.wqkv.weight`]: [(n_head + 2 * keyHeads) * headDim, dim],
      [`layers.${layer}.attention.wo.weight`]: [dim, dim],
      [`layers.${layer}.feed_forward.w1.weight`]: [hidden, dim],
      [`layers.${layer}.feed_forward.w3.weight`]: [hidden, dim],
      [`layers.${layer}.feed_forward.w2.weight`]: [dim, hidden],
      [`layers.${layer}.attention_norm.weight`]: [dim],
      [`layers.${layer}.ffn_norm.weight`]: [dim],
    });
  }
  return { ...shapes, "norm.weight": [dim], "output.weight": [vocab_size, dim] };
}

function conditionShapes({ model_type, dim, ...config }: LlamaGenConfig): Record<string, number[]> {
  const { num_classes, class_dropout_prob, cls_token_num, caption_dim = CAPTION_WIDTH } = config;
  if (model_type === "c2i")
    return { "cls_embedding.embedding_table.weight": [num_classes + (class_dropout_prob > 0 ? 1 : 0), dim] };
  return {
    "cls_embedding.uncond_embedding": [cls_token_num, caption_dim],
    "cls_embedding.cap_proj.fc1.weight": [dim, caption_dim],
    "cls_embedding.cap_proj.fc2.weight": [dim, dim],
  };
}

/**
 * Fresh parameters: norms at 1, the head at 0, the null caption at `1 / √caption_dim`, everything else normal with
 * `initializer_range`.
 * Source: LlamaGen `initialize_weights`. The caller owns the tensors.
 *
 * @param seed integer in [0, 2^53)
 */
export function initLlamaGen(config: LlamaGenConfig, seed: number): Params {
  const std = config.initializer_range ?? 0.02;
  return initialise(llamaGenShapes(config), seed, (name) => {
    if (name.endsWith("norm.weight")) return "ones";
    if (name === "cls_embedding.uncond_embedding") return { std: 1 / Math.sqrt(config.caption_dim ?? CAPTION_WIDTH) };
    return name === "output.weight" ? "zeros" : { std };
  });
}
