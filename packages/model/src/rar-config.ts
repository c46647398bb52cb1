import { quote, TensorARError } from "@tensorar/core";
import { expectBelow, MOST_LAYERS, MOST_TOKENS } from "./limits";
import { initialise, type ParameterShapes, type Params } from "./parameters";

/** RAR's generator, the keys of the original's `configs/training/generator/rar.yaml`. */
export interface RarConfig {
  /** D */
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Width inside the feed-forward. */
  readonly intermediate_size: number;
  /** T, a square number. */
  readonly image_seq_len: number;
  readonly condition_num_classes: number;
  /** V */
  readonly codebook_size: number;
}

/** Depth, heads and widths of the published sizes. Source: bytedance/1d-tokenizer `README_RAR.md`. */
export const RAR_SIZES = {
  "RAR-B": { hidden_size: 768, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 3072 },
  "RAR-L": { hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096 },
  "RAR-XL": { hidden_size: 1280, num_hidden_layers: 32, num_attention_heads: 16, intermediate_size: 5120 },
  "RAR-XXL": { hidden_size: 1408, num_hidden_layers: 40, num_attention_heads: 16, intermediate_size: 6144 },
} as const;

/** Published sizes of RAR. */
export type RarSize = keyof typeof RAR_SIZES;

/** Config of a published size: 256 tokens of 1024 codes, 1000 classes. */
export function rarConfig(size: RarSize, overrides: Partial<RarConfig> = {}): RarConfig {
  return { ...RAR_SIZES[size], image_seq_len: 256, condition_num_classes: 1000, codebook_size: 1024, ...overrides };
}

/** Rows of the position tables beyond the image's, as the original has them. */
const SPARE_POSITIONS = 1024;
const SPARE_STEPS = 100;

const KEYS = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "intermediate_size",
  "image_seq_len",
  "condition_num_classes",
  "codebook_size",
] as const satisfies readonly (keyof RarConfig)[];

/** @throws TensorARError when the config describes no model */
export function checkRarConfig(config: RarConfig): void {
  for (const key of KEYS) {
    const value = config[key];
    if (!Number.isInteger(value) || value < 1)
      throw new TensorARError(`rar: ${key} = ${quote(value)}; use a positive integer`);
  }
  const { hidden_size, num_attention_heads, num_hidden_layers, image_seq_len } = config;
  expectBelow("rar", { num_hidden_layers }, MOST_LAYERS);
  expectBelow("rar", { image_seq_len }, MOST_TOKENS);
  if (hidden_size % num_attention_heads !== 0) {
    throw new TensorARError(
      `rar: hidden_size ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}; change one of them`,
    );
  }
}

/** Shape of every parameter, in the original's order and by its names. */
export function rarShapes(config: RarConfig): ParameterShapes {
  const { hidden_size: D, intermediate_size, image_seq_len, codebook_size, condition_num_classes } = config;
  const headDim = D / config.num_attention_heads;
  const shapes: Record<string, number[]> = {
    cls_token: [1, 1, D],
    pos_embed: [1, image_seq_len + SPARE_POSITIONS, D],
    target_aware_pos_embed: [1, image_seq_len + SPARE_POSITIONS, D],
    timesteps_embeddings: [1, image_seq_len + SPARE_STEPS, D],
  };
  const affine = (name: string, size: number) =>
    Object.assign(shapes, { [`${name}.weight`]: [size], [`${name}.bias`]: [size] });
  const linear = (name: string, outputs: number, inputs: number) =>
    Object.assign(shapes, { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] });
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const block = `blocks.${layer}`;
    affine(`${block}.norm1`, D);
    linear(`${block}.attn.qkv`, 3 * D, D);
    affine(`${block}.attn.q_norm`, headDim);
    affine(`${block}.attn.k_norm`, headDim);
    linear(`${block}.attn.proj`, D, D);
    affine(`${block}.norm2`, D);
    linear(`${block}.mlp.fc1`, intermediate_size, D);
    linear(`${block}.mlp.fc2`, D, intermediate_size);
    linear(`${block}.adaLN_modulation.1`, 6 * D, D);
  }
  shapes["embeddings.weight"] = [codebook_size + 1 + condition_num_classes + 1, D];
  linear("adaln_before_head.adaLN_modulation.1", 2 * D, D);
  linear("lm_head", codebook_size, D);
  return shapes;
}

/**
 * Fresh parameters as the original's: norms at 1, adaptive norms, biases and the class token at 0, the rest normal with
 * deviation 0.02 (the original cuts the tails off at 2, which is 100 deviations). The caller owns the tensors.
 *
 * @param seed integer in [0, 2^53)
 */
export function initRar(config: RarConfig, seed: number): Params {
  checkRarConfig(config);
  return initialise(rarShapes(config), seed, (name) => {
    if (name.endsWith(".bias") || name.includes("adaLN_modulation") || name === "cls_token") return "zeros";
    return /norm\d?\.weight$/.test(name) ? "ones" : { std: 0.02 };
  });
}
