import { ShapeError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Encoding } from "../encoding";
import { checkCodes, gridOfImages } from "../grid";
import { runLayers } from "../network";
import type { Params } from "../parameters";
import { type Magvit2Config, magvit2Factor, resolveMagvit2Config } from "./config";
import { decoderLayers, encoderLayers } from "./layers";
import { codesOf, vectorsOf } from "./lfq";

/**
 * Images to codes. Source: `VQModel.encode` of `src/Open_MAGVIT2/models/lfqgan.py` and the modules of
 * `modules/diffusionmodules/improved_model.py` in TencentARC/SEED-Voken.
 *
 * Borrows `params` and `images`; the caller owns the three results.
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`, sides divisible by the grid factor
 * @throws ShapeError where the images do not fit the configuration
 * @throws TensorARError for a bad configuration or a missing parameter
 */
export function encodeMagvit2(params: Params, config: Magvit2Config, images: tf.Tensor4D): Encoding {
  const full = resolveMagvit2Config(config);
  const [h, w] = gridOfImages("encodeMagvit2", images, full.in_channels, magvit2Factor(full));
  const bits = full.z_channels;
  return tf.tidy(() => {
    const features = runLayers(params, encoderLayers(full), images); // [N, h, w, bits]
    const codes = codesOf(tf.reshape(features, [-1, bits]));
    return {
      features,
      codes: tf.reshape(codes, [-1, h * w]) as tf.Tensor2D,
      quantized: tf.reshape(vectorsOf(codes, bits), [-1, h, w, bits]) as tf.Tensor4D,
    };
  });
}

/**
 * Codes to images. Source: `LFQ.get_codebook_entry` and `VQModel.decode`.
 *
 * Borrows `params` and `codes`; the caller owns the result.
 * @param codes int32 `[N, h·w]` in raster order, each in `[0, 2^z_channels)`; a code outside is not noticed
 * @param grid `[h, w]`, of two codes at least: the decoder's norms need a variance over them
 * @returns `[N, H, W, C]`, in `[-1, 1]` up to the decoder's error: clamp before making pixels of it
 * @throws ShapeError where `codes` does not have `h · w` columns, or only one
 */
export function decodeMagvit2(
  params: Params,
  config: Magvit2Config,
  codes: tf.Tensor2D,
  [h, w]: readonly [h: number, w: number],
): tf.Tensor4D {
  const full = resolveMagvit2Config(config);
  checkCodes("decodeMagvit2", codes, [h, w]);
  if (h * w < 2) throw new ShapeError("decodeMagvit2: a grid of 1 x 1 has no variance; decode two codes or more");
  const bits = full.z_channels;
  return tf.tidy(() => {
    const vectors = vectorsOf(tf.reshape(codes, [-1]), bits); // [N·h·w, bits]
    return runLayers(params, decoderLayers(full), tf.reshape(vectors, [-1, h, w, bits]));
  });
}
