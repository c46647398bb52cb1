import { requireOptions } from "@tensorar/core";
import {
  baseWidth,
  blocks,
  checkKeys,
  isPositiveInteger,
  multipliers,
  nonNegative,
  only,
  positiveInteger,
} from "../config-rules";

/**
 * Configuration of Open-MAGVIT2's image tokenizer, with the original's keys: those of `ddconfig`, and the weights of the
 * entropy losses that `VQModel` in `src/Open_MAGVIT2/models/lfqgan.py` takes beside it. Its `n_embed` and `embed_dim`
 * follow from `z_channels`. A plain object that serialises to JSON.
 */
export interface Magvit2Config {
  /** Only `false`, as in the original's own configurations. */
  readonly double_z: boolean;
  /** Channels between encoder and decoder, each one bit of a code; there are `2^z_channels` codes. At most 24. */
  readonly z_channels: number;
  /** Side of the images that it was trained on. Changes no output. */
  readonly resolution: number;
  /** Channels of the images that are encoded. */
  readonly in_channels: number;
  /** Channels of the images that are decoded. */
  readonly out_ch: number;
  /** Base width, a multiple of 32. */
  readonly ch: number;
  /** Width of each level in multiples of `ch`, finest first; each level but the last halves the image. */
  readonly ch_mult: readonly number[];
  /** Residual blocks of a level, and of the middle. */
  readonly num_res_blocks: number;
  /** Weight of the entropy of single latents in the entropy loss. Default 1. */
  readonly sample_minimization_weight?: number;
  /** Weight of the entropy of the batch's codes in the entropy loss. Default 1. */
  readonly batch_maximization_weight?: number;
  /** Weight of the entropy loss in training, of the original's `lossconfig`. Default 0.1. */
  readonly codebook_weight?: number;
  /** Weight of the commitment in training, of the original's `lossconfig`. Default 0.25. */
  readonly commit_weight?: number;
}

const DEFAULTS = {
  sample_minimization_weight: 1,
  batch_maximization_weight: 1,
  codebook_weight: 0.1,
  commit_weight: 0.25,
} as const satisfies Partial<Magvit2Config>;

/** The published tokenizers: 18 bits for 16 × 16 pixels. */
export const OPEN_MAGVIT2_16: Magvit2Config = {
  double_z: false,
  z_channels: 18,
  resolution: 128,
  in_channels: 3,
  out_ch: 3,
  ch: 128,
  ch_mult: [1, 1, 2, 2, 4],
  num_res_blocks: 4,
};

/** float32 holds codes of so many bits exactly. */
const MOST_BITS = 24;

/**
 * Fills in defaults and checks every key.
 * @throws TensorARError naming the key, its value and what would be right
 */
export function resolveMagvit2Config(config: Magvit2Config): Required<Magvit2Config> {
  requireOptions("Open-MAGVIT2 config", config, []);
  const full = { ...DEFAULTS, ...config };
  checkKeys<Required<Magvit2Config>>("Open-MAGVIT2", full, {
    double_z: only(false, "use false"),
    z_channels: {
      holds: (value) => isPositiveInteger(value) && (value as number) <= MOST_BITS,
      remedy: `use a number of bits from 1 to ${MOST_BITS}`,
    },
    resolution: positiveInteger,
    in_channels: positiveInteger,
    out_ch: positiveInteger,
    ch: baseWidth,
    ch_mult: multipliers,
    num_res_blocks: blocks,
    sample_minimization_weight: nonNegative,
    batch_maximization_weight: nonNegative,
    codebook_weight: nonNegative,
    commit_weight: nonNegative,
  });
  return full;
}

/** Pixels along one side of a code: `2^(levels - 1)`. */
export const magvit2Factor = (config: Magvit2Config): number => 2 ** (config.ch_mult.length - 1);
