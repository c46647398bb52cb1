import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import { downsampleOf, type FullVqConfig, resolveConfig, type VqConfig } from "./config";
import type { Encoding } from "./encoding";
import { checkCodes, gridOfImages } from "./grid";
import type { Layer } from "./layers";
import { runLayer, runLayers } from "./network";
import { straightThrough } from "./ops/gradients";
import type { Params } from "./parameters";
import { codebook, quantize, quantizerLosses } from "./quantizer/quantize";
import { decoderLayers, encoderLayers, postQuantLayer, quantLayer } from "./vq-layers";

// N images · H, W pixels · [h, w] grid · Z z_channels · e dimensions of a code · V codes

/** What LlamaGen's autoencoder makes of images. */
export interface Encoded extends Encoding {
  /** What is quantized, `[N, h, w, e]`, before any scaling to length 1. */
  readonly latents: tf.Tensor4D;
}

/**
 * Images to codes. Source: `VQModel.encode` of LlamaGen's `vq_model.py`, in eval mode.
 *
 * Borrows `params` and `images`; the caller owns the four results.
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`, sides divisible by the downsample factor
 * @throws ShapeError where the images do not fit the configuration
 * @throws TensorARError for a bad configuration or a missing parameter
 */
export function encodeVq(params: Params, config: VqConfig, images: tf.Tensor4D): Encoded {
  const full = resolveConfig(config);
  const [h, w] = gridOfImages("encodeVq", images, full.in_channels, downsampleOf(full));
  return tf.tidy(() => {
    const { features, latents } = latentsOf(params, full, images);
    const { codes, chosen } = quantize(params, full, tf.reshape(latents, [-1, full.codebook_embed_dim]));
    return {
      features,
      latents,
      codes: tf.reshape(codes, [-1, h * w]) as tf.Tensor2D,
      quantized: tf.reshape(chosen, [-1, h, w, full.codebook_embed_dim]) as tf.Tensor4D,
    };
  });
}

/**
 * Codes to images. Source: `VQModel.decode_code` of LlamaGen's `vq_model.py`.
 *
 * Borrows `params` and `codes`; the caller owns the result.
 * @param codes int32 `[N, h·w]` in raster order, each in `[0, V)`
 * @param grid `[h, w]`, see `gridOf`
 * @returns `[N, H, W, C]`, in `[-1, 1]` up to the decoder's error: clamp before making pixels of it
 * @throws ShapeError where `codes` does not have `h · w` columns
 * @throws Error of the backend for a code outside `[0, V)`, where the backend checks indices (cpu and wasm do)
 */
export function decodeVq(
  params: Params,
  config: VqConfig,
  codes: tf.Tensor2D,
  grid: readonly [h: number, w: number],
): tf.Tensor4D {
  const full = resolveConfig(config);
  const [h, w] = grid;
  checkCodes("decodeVq", codes, grid);
  return tf.tidy(() => {
    const chosen = tf.gather(codebook(params, full), tf.reshape(codes, [-1])); // [N·h·w, e]
    return imagesOf(params, full, tf.reshape(chosen, [-1, h, w, full.codebook_embed_dim]));
  });
}

/** Weights of the reconstruction loss: `l2 · mean squared error + l1 · mean absolute error`. */
export interface ReconstructionWeights {
  /** Default 1. */
  readonly l2?: number;
  /** Default 0. The original uses either; a mix is ours. */
  readonly l1?: number;
}

/** The terms of LlamaGen's autoencoder, without its discriminator. */
export interface VqLosses {
  /** Sum of the other losses: what training minimises. */
  readonly total: tf.Scalar;
  readonly reconstruction: tf.Scalar;
  readonly vq_loss: tf.Scalar;
  /** Already times `commit_loss_beta`. */
  readonly commit_loss: tf.Scalar;
  /** Already times `entropy_loss_ratio`. */
  readonly entropy_loss: tf.Scalar;
  /** int32 `[N, h·w]`, for the codebook usage. */
  readonly codes: tf.Tensor2D;
  /** `[N, H, W, C]` */
  readonly reconstructed: tf.Tensor4D;
}

/**
 * Losses of one training batch; gradients pass the quantizer straight through.
 * Source: `VQModel.forward` in training mode and the reconstruction part of `VQLoss`; for its perceptual and adversarial
 * parts see `vqGanLosses`.
 *
 * Borrows `params` and `images`; the caller owns the results.
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`
 * @throws as {@link encodeVq}, and TensorARError for reconstruction weights that are negative, infinite or both 0
 */
export function vqLosses(
  params: Params,
  config: VqConfig,
  images: tf.Tensor4D,
  weights: ReconstructionWeights = {},
): VqLosses {
  const full = resolveConfig(config);
  gridOfImages("vqLosses", images, full.in_channels, downsampleOf(full));
  return tf.tidy(() => ({ ...lossesAt(latentsOf(params, full, images).latents, params, full, images, weights) }));
}

/** The losses from the latents on, `[N, h, w, e]`: all that {@link vqLosses} does after encoding. */
export function lossesAt(
  latents: tf.Tensor4D,
  params: Params,
  config: FullVqConfig,
  images: tf.Tensor4D,
  weights: ReconstructionWeights,
): VqLosses {
  const { features, losses, codes } = forwardAt(latents, params, config);
  const reconstructed = runLayer(params, lastLayer(config), features);
  const reconstruction = reconstructionLoss(tf.sub(reconstructed, images), weights);
  const total = tf.addN([reconstruction, losses.vq_loss, losses.commit_loss, losses.entropy_loss]) as tf.Scalar;
  return { total, reconstruction, ...losses, codes, reconstructed };
}

/** Training's way from the latents `[N, h, w, e]` up to the last layer of the decoder. */
export interface VqForward {
  /** What the last layer reads, `[N, H, W, ch]`. */
  readonly features: tf.Tensor4D;
  readonly losses: Pick<VqLosses, "vq_loss" | "commit_loss" | "entropy_loss">;
  /** int32 `[N, h·w]` */
  readonly codes: tf.Tensor2D;
}

export function forwardAt(latents: tf.Tensor4D, params: Params, config: FullVqConfig): VqForward {
  const [, h, w, e] = latents.shape;
  const quantized = quantize(params, config, tf.reshape(latents, [-1, e]));
  const passed = straightThrough(quantized.compared, quantized.chosen); // [N·h·w, e]
  const layers = [postQuantLayer(config), ...decoderLayers(config).slice(0, -1)];
  return {
    features: runLayers(params, layers, tf.reshape(passed, [-1, h, w, e])),
    losses: quantizerLosses(config, quantized),
    codes: tf.reshape(quantized.codes, [-1, h * w]) as tf.Tensor2D,
  };
}

/** The decoder's last layer, which makes pixels. */
export const lastLayer = (config: FullVqConfig): Layer => decoderLayers(config).at(-1)!;

export function latentsOf(params: Params, config: FullVqConfig, images: tf.Tensor4D) {
  const features = runLayers(params, encoderLayers(config), images); // [N, h, w, Z]
  return { features, latents: runLayer(params, quantLayer(config), features) }; // [N, h, w, e]
}

/** `[N, h, w, e]` → `[N, H, W, C]` */
const imagesOf = (params: Params, config: FullVqConfig, quantized: tf.Tensor4D): tf.Tensor4D =>
  runLayers(params, [postQuantLayer(config), ...decoderLayers(config)], quantized);

/** @throws TensorARError for weights that are negative, infinite or both 0 */
export function reconstructionLoss(error: tf.Tensor, { l2 = 1, l1 = 0 }: ReconstructionWeights): tf.Scalar {
  if (!(l2 >= 0 && l1 >= 0 && l2 + l1 > 0 && Number.isFinite(l2 + l1))) {
    throw new TensorARError(
      `reconstruction weights l2 = ${l2}, l1 = ${l1}: use finite numbers >= 0, one of them above 0`,
    );
  }
  const squared = l2 === 0 ? [] : [tf.mul(tf.mean(tf.square(error)), l2)];
  const absolute = l1 === 0 ? [] : [tf.mul(tf.mean(tf.abs(error)), l1)];
  return tf.addN([...squared, ...absolute]) as tf.Scalar;
}
