import * as tf from "@tensorflow/tfjs-core";
import { downsampleOf, resolveConfig, type VqConfig } from "./config";
import { gridOfImages } from "./grid";
import type { Layer } from "./layers";
import { type Magvit2Config, magvit2Factor, resolveMagvit2Config } from "./magvit2/config";
import { decoderLayers as magvit2Decoder, encoderLayers as magvit2Encoder } from "./magvit2/layers";
import { codesOf, lfqLosses, signs } from "./magvit2/lfq";
import { runLayer, runLayers } from "./network";
import { straightThrough } from "./ops/gradients";
import type { Params } from "./parameters";
import type { TokenizerSpec } from "./tokenizer";
import { forwardAt, lastLayer, latentsOf, type ReconstructionWeights, reconstructionLoss } from "./vq";

// N images · H, W pixels · C channels · [h, w] grid

/** A tokenizer that can be trained: LlamaGen's, or Open-MAGVIT2's without a codebook. */
export type TrainableSpec = TokenizerSpec<"vq" | "magvit2">;

/** The way of a batch of images through a tokenizer in training, up to the last layer of the decoder. */
export interface TrainingPass {
  /** What the last layer reads, `[N, H, W, ch]`. */
  readonly features: tf.Tensor4D;
  /** The quantizer's losses, already times their weights. */
  readonly losses: Readonly<Record<string, tf.Scalar>>;
  /** What else is known of the quantizer. */
  readonly measures: Readonly<Record<string, tf.Scalar>>;
  /** int32 `[N, h·w]` */
  readonly codes: tf.Tensor2D;
}

/** What training needs of a tokenizer. */
export interface Trainable {
  pass(params: Params, images: tf.Tensor4D): TrainingPass;
  /** The decoder's last layer, which makes pixels. */
  readonly last: Layer;
  /** How its original weights the difference to the images. */
  readonly reconstruction: ReconstructionWeights;
}

/** @throws TensorARError for a configuration that is not valid; `pass` throws as `encode` of the tokenizer does */
export const trainableOf = (spec: TrainableSpec): Trainable =>
  spec.kind === "vq" ? trainableVq(spec.config) : trainableMagvit2(spec.config);

function trainableVq(config: VqConfig): Trainable {
  const full = resolveConfig(config);
  return {
    last: lastLayer(full),
    reconstruction: { l2: 1 },
    pass(params, images) {
      gridOfImages("training", images, full.in_channels, downsampleOf(full));
      const { features, losses, codes } = forwardAt(latentsOf(params, full, images).latents, params, full);
      return { features, losses: { ...losses }, measures: {}, codes };
    },
  };
}

/**
 * Source: `VQModel.training_step` of `src/Open_MAGVIT2/models/lfqgan.py` and `VQLPIPSWithDiscriminator` of
 * `modules/losses/vqperceptual.py` in TencentARC/SEED-Voken.
 */
function trainableMagvit2(config: Magvit2Config): Trainable {
  const full = resolveMagvit2Config(config);
  const { z_channels: bits, codebook_weight, commit_weight } = full;
  const decoder = magvit2Decoder(full);
  return {
    last: decoder.at(-1)!,
    reconstruction: { l1: 1, l2: 0 },
    pass(params, images) {
      const [h, w] = gridOfImages("training", images, full.in_channels, magvit2Factor(full));
      const latents = runLayers(params, magvit2Encoder(full), images); // [N, h, w, bits]
      const rows = tf.reshape(latents, [-1, bits]) as tf.Tensor2D;
      const { entropy_aux, commitment, per_sample_entropy, codebook_entropy } = lfqLosses(rows, full);
      const passed = straightThrough(rows, signs(rows));
      return {
        features: runLayers(params, decoder.slice(0, -1), tf.reshape(passed, [-1, h, w, bits])),
        losses: {
          entropy_loss: tf.mul(entropy_aux, codebook_weight),
          commit_loss: tf.mul(commitment, commit_weight),
        },
        measures: { per_sample_entropy, codebook_entropy },
        codes: tf.reshape(codesOf(rows), [-1, h * w]) as tf.Tensor2D,
      };
    },
  };
}

/** The terms of a tokenizer's training without a discriminator. */
export interface TokenizerLosses {
  /** Sum of the losses: what training minimises. */
  readonly total: tf.Scalar;
  readonly reconstruction: tf.Scalar;
  readonly quantizer: Pick<TrainingPass, "losses" | "measures">;
  /** int32 `[N, h·w]` */
  readonly codes: tf.Tensor2D;
  /** `[N, H, W, C]` */
  readonly reconstructed: tf.Tensor4D;
}

/**
 * Losses of one training batch of any tokenizer that can be trained; gradients pass the quantizer straight through. The caller
 * owns the results.
 *
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`
 * @throws as {@link trainableOf}
 */
export function tokenizerLosses(params: Params, spec: TrainableSpec, images: tf.Tensor4D): TokenizerLosses {
  return tf.tidy(() => {
    const { pass, last, reconstruction: weights } = trainableOf(spec);
    const { features, losses, measures, codes } = pass(params, images);
    const reconstructed = runLayer(params, last, features);
    const reconstruction = reconstructionLoss(tf.sub(reconstructed, images), weights);
    const total = tf.addN([reconstruction, ...Object.values(losses)]) as tf.Scalar;
    return { total, reconstruction, quantizer: { losses, measures }, codes, reconstructed };
  });
}
