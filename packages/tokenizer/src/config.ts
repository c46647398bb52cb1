import { requireOptions } from "@tensorar/core";
import { baseWidth, blocks, checkKeys, flag, multipliers, nonNegative, only, positiveInteger } from "./config-rules";
import { dividedBy, type ImageSize } from "./grid";

/**
 * Configuration of LlamaGen's VQ autoencoder, with the original's keys (`ModelArgs` in
 * `tokenizer/tokenizer_image/vq_model.py`) and the arguments that the original fixes inside its encoder and decoder.
 * A plain object that serialises to JSON.
 */
export interface VqConfig {
  /** V, the number of codes. */
  readonly codebook_size: number;
  /** Dimensions of a code. */
  readonly codebook_embed_dim: number;
  /** Compare codes by angle: latents and codes are scaled to length 1 before they are compared or used. */
  readonly codebook_l2_norm: boolean;
  /** Whether checkpoints hold the original's `quantize.codebook_used` buffer. Changes no output. */
  readonly codebook_show_usage: boolean;
  /** Weight β of the commitment loss. */
  readonly commit_loss_beta: number;
  /** Weight of the entropy loss; 0 leaves it out. */
  readonly entropy_loss_ratio: number;
  /** Width of each encoder level in multiples of `ch`, finest first; each level but the last halves the image. */
  readonly encoder_ch_mult: readonly number[];
  /** Width of each decoder level, finest first, as many as the encoder has. */
  readonly decoder_ch_mult: readonly number[];
  /** Channels between encoder and quantizer. */
  readonly z_channels: number;
  /** Only 0: dropout is not supported, and the original's published models are trained without. */
  readonly dropout_p?: number;
  /** Base width, a multiple of 32. Default 128. */
  readonly ch?: number;
  /** Residual blocks of an encoder level; a decoder level has one more. Default 2. */
  readonly num_res_blocks?: number;
  /** Channels of the images. Default 3. */
  readonly in_channels?: number;
}

/** A configuration with its defaults filled in. */
export type FullVqConfig = Required<Omit<VqConfig, "dropout_p">>;

/**
 * Fills in defaults and checks every key.
 * @throws TensorARError naming the key, its value and what would be right
 */
export function resolveConfig(config: VqConfig): FullVqConfig {
  requireOptions("VQ config", config, []);
  const { dropout_p = 0, ...rest } = config;
  const full = { ch: 128, num_res_blocks: 2, in_channels: 3, ...rest };
  checkKeys<Required<VqConfig>>(
    "VQ",
    { ...full, dropout_p },
    {
      dropout_p: only(0, "dropout is not supported; use 0"),
      codebook_size: positiveInteger,
      codebook_embed_dim: positiveInteger,
      z_channels: positiveInteger,
      ch: baseWidth,
      num_res_blocks: blocks,
      in_channels: positiveInteger,
      commit_loss_beta: nonNegative,
      entropy_loss_ratio: nonNegative,
      codebook_l2_norm: flag,
      codebook_show_usage: flag,
      encoder_ch_mult: multipliers,
      decoder_ch_mult: multipliers,
    },
  );
  const levels = full.encoder_ch_mult.length;
  checkKeys<Pick<FullVqConfig, "decoder_ch_mult">>("VQ", full, {
    decoder_ch_mult: {
      holds: () => full.decoder_ch_mult.length === levels,
      remedy: `the encoder has ${levels} levels; give the decoder as many`,
    },
  });
  return full;
}

/** Pixels along one side of a code: `2^(levels - 1)`. */
export function downsampleOf(config: VqConfig): number {
  return 2 ** (resolveConfig(config).encoder_ch_mult.length - 1);
}

/**
 * Rows and columns of codes of an image.
 * @param size pixels: a side of a square image, or `[height, width]`
 * @throws ShapeError where a side is not a positive multiple of the downsample factor
 */
export const gridOf = (config: VqConfig, size: ImageSize): [number, number] => dividedBy(downsampleOf(config), size);
