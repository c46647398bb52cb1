import * as tf from "@tensorflow/tfjs-core";
import type { Encoding } from "../encoding";
import { checkCodes, gridOfImages } from "../grid";
import { runLayers } from "../network";
import { stopGradient } from "../ops/gradients";
import type { Params } from "../parameters";
import { codebook, quantize } from "../quantizer/quantize";
import { checkMaskgitConfig, type MaskgitConfig, maskgitFactor } from "./config";
import { decoderLayers, encoderLayers } from "./layers";

/** Codes are compared by their distance, as they are. */
const BY_DISTANCE = { codebook_l2_norm: false };

/**
 * Images to codes. Source: `PretrainedTokenizer.encode` of `modeling/titok.py` and the modules of
 * `modeling/modules/maskgit_vqgan.py` in bytedance/1d-tokenizer.
 *
 * Borrows `params` and `images`; the caller owns the three results.
 * @param images float32 `[N, H, W, C]` in `[0, 1]`, sides divisible by the grid factor
 * @throws ShapeError where the images do not fit the configuration
 * @throws TensorARError for a bad configuration or a missing parameter
 */
export function encodeMaskgit(params: Params, config: MaskgitConfig, images: tf.Tensor4D): Encoding {
  checkMaskgitConfig(config);
  const [h, w] = gridOfImages("encodeMaskgit", images, config.num_channels, maskgitFactor(config));
  return tf.tidy(() => {
    const features = runLayers(params, encoderLayers(config), images); // [N, h, w, Z]
    const { codes, chosen } = quantize(params, BY_DISTANCE, tf.reshape(features, [-1, config.embedding_dim]));
    return {
      features,
      codes: tf.reshape(codes, [-1, h * w]) as tf.Tensor2D,
      quantized: tf.reshape(chosen, [-1, h, w, config.embedding_dim]) as tf.Tensor4D,
    };
  });
}

/**
 * Codes to images. Source: `PretrainedTokenizer.decode` of `modeling/titok.py`.
 *
 * Borrows `params` and `codes`; the caller owns the result.
 * @param codes int32 `[N, h·w]` in raster order, each in `[0, V)`
 * @param grid `[h, w]`
 * @returns `[N, H, W, C]`, clipped to `[0, 1]`
 * @throws ShapeError where `codes` does not have `h · w` columns
 * @throws Error of the backend for a code outside `[0, V)`, where the backend checks indices (cpu and wasm do)
 */
export function decodeMaskgit(
  params: Params,
  config: MaskgitConfig,
  codes: tf.Tensor2D,
  grid: readonly [h: number, w: number],
): tf.Tensor4D {
  return tf.tidy(() => tf.clipByValue(decodeUnclipped(params, config, codes, grid), 0, 1));
}

/** What {@link decodeMaskgit} clips. */
export function decodeUnclipped(
  params: Params,
  config: MaskgitConfig,
  codes: tf.Tensor2D,
  [h, w]: readonly [h: number, w: number],
): tf.Tensor4D {
  checkMaskgitConfig(config);
  checkCodes("decodeMaskgit", codes, [h, w]);
  return tf.tidy(() => {
    const chosen = tf.gather(codebook(params, BY_DISTANCE), tf.reshape(codes, [-1])); // [N·h·w, Z]
    return runLayers(params, decoderLayers(config), tf.reshape(chosen, [-1, h, w, config.embedding_dim]));
  });
}

/**
 * The quantizer's loss: the mean squared distance that moves latents to their codes, and `commitment_cost` times the
 * same distance that moves codes to latents. Source: `VectorQuantizer.forward` of `maskgit_vqgan.py`; its weight is on
 * the other part than in the VQ papers.
 *
 * @param features what {@link encodeMaskgit} returned, `[N, h, w, Z]`
 * @returns a scalar, which the caller owns
 */
export function maskgitQuantizerLoss(params: Params, config: MaskgitConfig, features: tf.Tensor4D): tf.Scalar {
  checkMaskgitConfig(config);
  return tf.tidy(() => {
    const { compared, chosen } = quantize(params, BY_DISTANCE, tf.reshape(features, [-1, config.embedding_dim]));
    const distance = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.mean(tf.square(tf.sub(a, b)));
    const latentsMove = distance(compared, stopGradient(chosen));
    const codesMove = distance(chosen, stopGradient(compared));
    return tf.add(latentsMove, tf.mul(codesMove, config.commitment_cost)) as tf.Scalar;
  });
}
