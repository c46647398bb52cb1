import { requireOptions, TensorARError } from "@tensorar/core";
import { baseWidth, blocks, checkKeys, multipliers, nonNegative, only, positiveInteger } from "../config-rules";

/**
 * Configuration of the MaskGIT-VQGAN tokenizer, with the original's keys: those that `PretrainedTokenizer` in
 * `modeling/titok.py` gives to the encoder and decoder, and the arguments of its quantizer.
 * A plain object that serialises to JSON.
 */
export interface MaskgitConfig {
  /** Width of each level in multiples of `hidden_channels`, finest first; each level but the last halves the image. */
  readonly channel_mult: readonly number[];
  /** Levels, as many as `channel_mult` has. */
  readonly num_resolutions: number;
  /** Only 0: dropout is not supported, and the original's published model has none. */
  readonly dropout: number;
  /** Base width, a multiple of 32. */
  readonly hidden_channels: number;
  /** Channels of the images. */
  readonly num_channels: number;
  /** Residual blocks of a level, and of the middle. */
  readonly num_res_blocks: number;
  /** Side of the images that it was trained on. Changes no output. */
  readonly resolution: number;
  /** Channels between encoder and quantizer. */
  readonly z_channels: number;
  /** V, the number of codes. */
  readonly num_embeddings: number;
  /** Dimensions of a code; the same as `z_channels`. */
  readonly embedding_dim: number;
  /** Weight of the part of the quantizer's loss that moves codes to latents. */
  readonly commitment_cost: number;
}

/** The published tokenizer of RAR: 1024 codes of 16 × 16 pixels. */
export const MASKGIT_VQGAN_16: MaskgitConfig = {
  channel_mult: [1, 1, 2, 2, 4],
  num_resolutions: 5,
  dropout: 0,
  hidden_channels: 128,
  num_channels: 3,
  num_res_blocks: 2,
  resolution: 256,
  z_channels: 256,
  num_embeddings: 1024,
  embedding_dim: 256,
  commitment_cost: 0.25,
};

/** @throws TensorARError naming the key, its value and what would be right */
export function checkMaskgitConfig(config: MaskgitConfig): void {
  requireOptions("MaskGIT-VQGAN config", config, []);
  checkKeys("MaskGIT-VQGAN", config, {
    channel_mult: multipliers,
    num_resolutions: positiveInteger,
    dropout: only(0, "dropout is not supported; use 0"),
    hidden_channels: baseWidth,
    num_channels: positiveInteger,
    num_res_blocks: blocks,
    resolution: positiveInteger,
    z_channels: positiveInteger,
    num_embeddings: positiveInteger,
    embedding_dim: only(config.z_channels, `codes and latents have the same dimensions; use ${config.z_channels}`),
    commitment_cost: nonNegative,
  });
  if (config.num_resolutions !== config.channel_mult.length) {
    throw new TensorARError(
      `MaskGIT-VQGAN config: num_resolutions = ${config.num_resolutions}: ` +
        `channel_mult has ${config.channel_mult.length} levels; use as many`,
    );
  }
}

/** Pixels along one side of a code: `2^(levels - 1)`. */
export const maskgitFactor = (config: MaskgitConfig): number => 2 ** (config.channel_mult.length - 1);
