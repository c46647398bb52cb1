import { ShapeError, TensorARError } from "./errors";

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

/** Groups of every GroupNorm, as in the original. */
export const NORM_GROUPS = 32;

/** A configuration with its defaults filled in. */
export type FullVqConfig = Required<Omit<VqConfig, "dropout_p">>;

const POSITIVE_INTEGERS = [
  "codebook_size",
  "codebook_embed_dim",
  "z_channels",
  "ch",
  "num_res_blocks",
  "in_channels",
] as const;
const NON_NEGATIVE = ["commit_loss_beta", "entropy_loss_ratio"] as const;
const FLAGS = ["codebook_l2_norm", "codebook_show_usage"] as const;
const MULTIPLIERS = ["encoder_ch_mult", "decoder_ch_mult"] as const;

/**
 * Fills in defaults and checks every key.
 * @throws TensorARError naming the key, its value and what would be right
 */
export function resolveConfig(config: VqConfig): FullVqConfig {
  const { dropout_p = 0, ...rest } = config;
  const full: FullVqConfig = { ch: 128, num_res_blocks: 2, in_channels: 3, ...rest };
  if (dropout_p !== 0) refuse("dropout_p", dropout_p, "dropout is not supported; use 0");
  for (const key of POSITIVE_INTEGERS) {
    if (!isPositiveInteger(full[key])) refuse(key, full[key], "use a positive integer");
  }
  for (const key of NON_NEGATIVE) {
    if (!(Number.isFinite(full[key]) && full[key] >= 0)) refuse(key, full[key], "use a number >= 0");
  }
  for (const key of FLAGS) {
    if (typeof full[key] !== "boolean") refuse(key, full[key], "use true or false");
  }
  for (const key of MULTIPLIERS) {
    if (!Array.isArray(full[key]) || full[key].length === 0 || !full[key].every(isPositiveInteger)) {
      refuse(key, full[key], "use a list of positive integers, one for each level");
    }
  }
  if (full.encoder_ch_mult.length !== full.decoder_ch_mult.length) {
    const levels = full.encoder_ch_mult.length;
    refuse("decoder_ch_mult", full.decoder_ch_mult, `the encoder has ${levels} levels; give the decoder as many`);
  }
  if (full.ch % NORM_GROUPS !== 0) {
    refuse("ch", full.ch, `GroupNorm has ${NORM_GROUPS} groups; use a multiple of ${NORM_GROUPS}`);
  }
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
export function gridOf(config: VqConfig, size: number | readonly [height: number, width: number]): [number, number] {
  const [height, width] = typeof size === "number" ? [size, size] : size;
  const factor = downsampleOf(config);
  for (const side of [height, width]) {
    if (!isPositiveInteger(side) || side % factor !== 0) {
      throw new ShapeError(
        `image of ${height} x ${width} pixels does not divide into codes of ${factor} x ${factor} pixels; ` +
          `resize it to multiples of ${factor}`,
      );
    }
  }
  return [height / factor, width / factor];
}

const isPositiveInteger = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

function refuse(key: keyof VqConfig, value: unknown, remedy: string): never {
  throw new TensorARError(`VQ config: ${key} = ${JSON.stringify(value)}: ${remedy}`);
}
