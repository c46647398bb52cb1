import { quote, TensorARError } from "@tensorar/core";
import { expectBelow, MOST_HEAD_WIDTH, MOST_LAYERS, MOST_TOKENS } from "./limits";
import { initialise, type ParameterShapes, type Params } from "./parameters";

/**
 * Open-MAGVIT2's transformer over factorised tokens, the keys of the original's `GPT`. Its dropout has no keys here: it
 * is not implemented.
 */
export interface Magvit2ArConfig {
  /** T, a square number. */
  readonly block_size: number;
  readonly spatial_n_layer: number;
  readonly factorized_n_layer: number;
  readonly n_head: number;
  /** Heads of keys and values; default `n_head`. */
  readonly n_kv_head?: number;
  /** D */
  readonly dim: number;
  readonly class_num: number;
  /** Bits of each sub-token, two of them; a token has `2^(sum)` values. */
  readonly factorized_bits: readonly number[];
  /** The hidden width of the feed-forward is rounded up to a multiple of this; default 256. */
  readonly multiple_of?: number;
  readonly ffn_dim_multiplier?: number;
  /** Default 10000. */
  readonly rope_base?: number;
  /** Default 1e-5. */
  readonly norm_eps?: number;
}

/** Depth, heads and width of the published sizes. Source: SEED-Voken `configs/Open-MAGVIT2/gpu/imagenet_conditional_llama_*.yaml`. */
export const MAGVIT2_AR_SIZES = {
  "AR-B": { spatial_n_layer: 24, n_head: 16, dim: 1024, factorized_n_layer: 2 },
  "AR-L": { spatial_n_layer: 36, n_head: 20, dim: 1280, factorized_n_layer: 3 },
  "AR-XL": { spatial_n_layer: 48, n_head: 24, dim: 1536, factorized_n_layer: 4 },
} as const;

/** Published sizes of Open-MAGVIT2's models. */
export type Magvit2ArSize = keyof typeof MAGVIT2_AR_SIZES;

/** Config of a published size: 256 tokens of 2^18 codes in sub-tokens of 6 and 12 bits, 1000 classes. */
export function magvit2ArConfig(size: Magvit2ArSize, overrides: Partial<Magvit2ArConfig> = {}): Magvit2ArConfig {
  return { ...MAGVIT2_AR_SIZES[size], block_size: 256, class_num: 1000, factorized_bits: [6, 12], ...overrides };
}

/** Sizes that follow from a config. */
export interface Magvit2ArSizes {
  readonly headDim: number;
  readonly keyHeads: number;
  /** Width inside the feed-forward. */
  readonly hidden: number;
  /** Side of the square grid of tokens. */
  readonly grid: number;
  /** V_0, V_1 */
  readonly factors: readonly number[];
}

/** Larger tokens would not be exact in float32. */
const MOST_BITS = 24;

/** @throws TensorARError when the config describes no model */
export function magvit2ArSizes(config: Magvit2ArConfig): Magvit2ArSizes {
  const { dim, n_head, n_kv_head: keyHeads = n_head, block_size, factorized_bits, multiple_of = 256 } = config;
  const refuse = (what: string): never => {
    throw new TensorARError(`magvit2Ar: ${what}`);
  };
  const { spatial_n_layer, factorized_n_layer, class_num } = config;
  const counts = { dim, n_head, keyHeads, block_size, spatial_n_layer, factorized_n_layer, class_num, multiple_of };
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) refuse(`${key} = ${quote(value)}; use a positive integer`);
  }
  expectBelow("magvit2Ar", { spatial_n_layer, factorized_n_layer }, MOST_LAYERS);
  expectBelow("magvit2Ar", { block_size }, MOST_TOKENS);
  const bits = Array.isArray(factorized_bits) ? factorized_bits : [];
  const fits =
    bits.every((each) => Number.isInteger(each) && each >= 1) && bits.reduce((a, b) => a + b, 0) <= MOST_BITS;
  if (bits.length !== 2 || !fits)
    refuse(`factorized_bits ${quote(bits)} do not fit; use two positive integers of at most ${MOST_BITS} in all`);
  if (dim % n_head !== 0) refuse(`dim ${dim} is not a multiple of n_head ${n_head}; change one of them`);
  if (n_head % keyHeads !== 0)
    refuse(`n_head ${n_head} is not a multiple of n_kv_head ${keyHeads}; change one of them`);
  const headDim = dim / n_head;
  expectBelow("magvit2Ar", { "dim / n_head": headDim }, MOST_HEAD_WIDTH);
  if (headDim % 4 !== 0) refuse(`head width ${headDim} (dim / n_head) is not a multiple of 4, which 2-D RoPE needs`);
  const grid = Math.round(Math.sqrt(block_size));
  if (grid * grid !== block_size) refuse(`block_size ${block_size} is not a square; use 64, 256, 576, …`);
  const third = Math.floor((2 * 4 * dim) / 3);
  const scaled = config.ffn_dim_multiplier === undefined ? third : Math.floor(config.ffn_dim_multiplier * third);
  const hidden = Math.ceil(scaled / multiple_of) * multiple_of;
  return { headDim, keyHeads, hidden, grid, factors: bits.map((each) => 2 ** each) };
}

/** Shape of every parameter, in the original's order and by its names. */
export function magvit2ArShapes(config: Magvit2ArConfig): ParameterShapes {
  const { dim, n_head } = config;
  const { headDim, keyHeads, hidden, factors } = magvit2ArSizes(config);
  const shapes: Record<string, number[]> = {
    "pre_emb.weight": [factors[0]!, dim],
    "post_emb.weight": [factors[1]!, dim],
    "class_emb.embedding_table.weight": [config.class_num + 1, dim],
  };
  const stacks = { spatial_blocks: config.spatial_n_layer, factorized_blocks: config.factorized_n_layer };
  for (const [stack, layers] of Object.entries(stacks)) {
    for (let layer = 0; layer < layers; layer++) {
      Object.assign(shapes, {
        [`${stack}.${layer}.attention.wqkv.weight`]: [(n_head + 2 * keyHeads) * headDim, dim],
        [`${stack}.${layer}.attention.wo.weight`]: [dim, dim],
        [`${stack}.${layer}.feed_forward.w1.weight`]: [hidden, dim],
        [`${stack}.${layer}.feed_forward.w3.weight`]: [hidden, dim],
        [`${stack}.${layer}.feed_forward.w2.weight`]: [dim, hidden],
        [`${stack}.${layer}.attention_norm.weight`]: [dim],
        [`${stack}.${layer}.ffn_norm.weight`]: [dim],
      });
    }
  }
  shapes["norm.weight"] = [dim];
  for (const [factor, size] of factors.entries()) shapes[`head.${factor}.weight`] = [size, dim];
  return shapes;
}

/**
 * Fresh parameters as the original's: norms at 1, heads at 0, everything else normal with deviation 0.02. The caller
 * owns the tensors.
 *
 * @param seed integer in [0, 2^53)
 */
export function initMagvit2Ar(config: Magvit2ArConfig, seed: number): Params {
  return initialise(magvit2ArShapes(config), seed, (name) => {
    if (name.endsWith("norm.weight")) return "ones";
    return name.startsWith("head.") ? "zeros" : { std: 0.02 };
  });
}
