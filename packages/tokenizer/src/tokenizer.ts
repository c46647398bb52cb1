import { quote, requireOptions, TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { downsampleOf, resolveConfig, type VqConfig } from "./config";
import type { Encoding } from "./encoding";
import { dividedBy, type ImageSize } from "./grid";
import type { ParameterShapes } from "./layers";
import { type Magvit2Config, magvit2Factor, resolveMagvit2Config } from "./magvit2/config";
import { magvit2Shapes } from "./magvit2/layers";
import { decodeMagvit2, encodeMagvit2 } from "./magvit2/magvit2";
import { checkMaskgitConfig, type MaskgitConfig, maskgitFactor } from "./maskgit/config";
import { maskgitShapes } from "./maskgit/layers";
import { decodeMaskgit, encodeMaskgit } from "./maskgit/maskgit";
import type { Params } from "./parameters";
import { decodeVq, encodeVq } from "./vq";
import { vqShapes } from "./vq-layers";

/** The configuration of each kind of tokenizer. */
export interface TokenizerConfigs {
  /** LlamaGen's VQ autoencoder, also that of Janus. */
  vq: VqConfig;
  /** MaskGIT-VQGAN, the tokenizer of RAR. */
  maskgit: MaskgitConfig;
  /** Open-MAGVIT2's lookup-free tokenizer. */
  magvit2: Magvit2Config;
}

/** A kind of tokenizer. */
export type TokenizerKind = keyof TokenizerConfigs;

/** Every kind of tokenizer. */
export const TOKENIZER_KINDS = ["vq", "maskgit", "magvit2"] as const satisfies readonly TokenizerKind[];

/** A kind of tokenizer and its configuration: plain data. */
export type TokenizerSpec<K extends TokenizerKind = TokenizerKind> = {
  [Each in K]: { readonly kind: Each; readonly config: TokenizerConfigs[Each] };
}[K];

/** What all tokenizers have in common. Parameters are passed to every call, by the names of the original checkpoint. */
export interface Tokenizer {
  readonly spec: TokenizerSpec;
  /** Shape of every parameter by its name. */
  readonly shapes: ParameterShapes;
  /** V, the number of codes. */
  readonly codebookSize: number;
  /** Pixels along one side of a code. */
  readonly factor: number;
  /** Channels of the images. */
  readonly channels: number;
  /**
   * Rows and columns of codes of an image.
   * @throws ShapeError where a side is not a positive multiple of the factor
   */
  gridOf(size: ImageSize): [h: number, w: number];
  /**
   * Images to codes. Borrows its arguments; the caller owns the results.
   * @param images float32 `[N, H, W, channels]` in `[-1, 1]`, whatever the original takes
   * @throws ShapeError where the images do not fit; TensorARError for a missing parameter
   */
  encode(params: Params, images: tf.Tensor4D): Encoding;
  /**
   * Codes to images. Borrows its arguments; the caller owns the result.
   * @param codes int32 `[N, h·w]` in raster order, each in `[0, V)`
   * @param grid `[h, w]`
   * @returns `[N, H, W, channels]`, in `[-1, 1]` up to the decoder's error: clamp before making pixels of it
   * @throws ShapeError where `codes` does not fit the grid; TensorARError for a missing parameter
   */
  decode(params: Params, codes: tf.Tensor2D, grid: readonly [h: number, w: number]): tf.Tensor4D;
}

/** @throws TensorARError for a configuration that is not valid, naming the key */
export function createTokenizer(spec: TokenizerSpec): Tokenizer {
  requireOptions("createTokenizer", spec, ["kind", "config"]);
  switch (spec.kind) {
    case "vq":
      return vqTokenizer(spec.config);
    case "maskgit":
      return maskgitTokenizer(spec.config);
    case "magvit2":
      return magvit2Tokenizer(spec.config);
    default: {
      const { kind } = spec as { kind: unknown };
      throw new TensorARError(`createTokenizer: kind ${quote(kind)} is unknown; use ${TOKENIZER_KINDS.join(", ")}`);
    }
  }
}

function vqTokenizer(config: VqConfig): Tokenizer {
  const { codebook_size, in_channels } = resolveConfig(config);
  const factor = downsampleOf(config);
  return {
    spec: { kind: "vq", config },
    shapes: vqShapes(config),
    codebookSize: codebook_size,
    factor,
    channels: in_channels,
    gridOf: (size) => dividedBy(factor, size),
    encode: (params, images) => encodeVq(params, config, images),
    decode: (params, codes, grid) => decodeVq(params, config, codes, grid),
  };
}

function maskgitTokenizer(config: MaskgitConfig): Tokenizer {
  checkMaskgitConfig(config);
  const factor = maskgitFactor(config);
  return {
    spec: { kind: "maskgit", config },
    shapes: maskgitShapes(config),
    codebookSize: config.num_embeddings,
    factor,
    channels: config.num_channels,
    gridOf: (size) => dividedBy(factor, size),
    // This original works on [0, 1].
    encode: (params, images) => {
      const halved = tf.tidy(() => tf.mul(tf.add(images, 1), 0.5) as tf.Tensor4D);
      try {
        return encodeMaskgit(params, config, halved);
      } finally {
        halved.dispose();
      }
    },
    decode: (params, codes, grid) =>
      tf.tidy(() => tf.sub(tf.mul(decodeMaskgit(params, config, codes, grid), 2), 1) as tf.Tensor4D),
  };
}

function magvit2Tokenizer(config: Magvit2Config): Tokenizer {
  const { z_channels, in_channels } = resolveMagvit2Config(config);
  const factor = magvit2Factor(config);
  return {
    spec: { kind: "magvit2", config },
    shapes: magvit2Shapes(config),
    codebookSize: 2 ** z_channels,
    factor,
    channels: in_channels,
    gridOf: (size) => dividedBy(factor, size),
    encode: (params, images) => encodeMagvit2(params, config, images),
    decode: (params, codes, grid) => decodeMagvit2(params, config, codes, grid),
  };
}
