import * as tf from "@tensorflow/tfjs-core";
import type { Layer } from "../layers";
import { runLayer } from "../network";
import { stopGradient } from "../ops/gradients";
import { type Params, parameter } from "../parameters";
import { type TokenizerLosses, type Trainable, type TrainableSpec, trainableOf } from "../trainable";
import { type ReconstructionWeights, reconstructionLoss } from "../vq";
import { adaptiveWeight, type DiscriminatorLoss, discriminatorLoss, type GeneratorLoss, generatorLoss } from "./losses";
import { discriminate, type PatchGanConfig } from "./patchgan";

// N images · H, W pixels · C channels

/** How far two batches of images look from each other, [N]: LPIPS, or another differentiable distance. */
export type PerceptualDistance = (a: tf.Tensor4D, b: tf.Tensor4D) => tf.Tensor;

/** A discriminator and its parameters. */
export interface Adversary {
  readonly config: PatchGanConfig;
  /** Parameters and running statistics. */
  readonly params: Params;
}

/** Weights and forms of the losses. */
export interface VqGanOptions {
  /** Default: those of the tokenizer's original. */
  readonly reconstruction?: ReconstructionWeights | undefined;
  /** Absent: no perceptual loss. */
  readonly perceptual?: { readonly distance: PerceptualDistance; readonly weight: number } | undefined;
  readonly generatorLoss: GeneratorLoss;
}

/** The terms of a tokenizer's training against a discriminator, and what the discriminator needs. */
export interface VqGanLosses extends TokenizerLosses {
  /** Already times its weight; 0 without. */
  readonly perceptual: tf.Scalar;
  /** Already times its weight. */
  readonly adversarial: tf.Scalar;
  /** Running statistics of the discriminator after the reconstructions. */
  readonly statistics: Record<string, tf.Tensor>;
}

/**
 * Losses of the tokenizer against a discriminator; gradients flow to `params` only.
 * Source: `VQLoss.forward` with `optimizer_idx = 0` of LlamaGen's `vq_loss.py`. The caller owns the results.
 *
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`
 * @param weight scalar of the adversarial loss, 0 before it starts; see `adversarialWeight`, and {@link vqGanWeight}
 * @throws as `vqLosses` and `discriminate`
 */
export function vqGanLosses(
  params: Params,
  spec: TrainableSpec,
  images: tf.Tensor4D,
  adversary: Adversary,
  weight: tf.Scalar | number,
  options: VqGanOptions,
): VqGanLosses {
  const trainable = trainableOf(spec);
  const { features, losses, measures, codes } = trainable.pass(params, images);
  const reconstructed = runLayer(params, trainable.last, features);
  const { reconstruction, perceptual } = likeness(reconstructed, images, trainable, options);
  const judged = discriminate(adversary.params, adversary.config, reconstructed, true);
  const opposed = generatorLoss(options.generatorLoss, judged.logits);
  const adversarial = tf.mul(opposed, weight) as tf.Scalar;
  const total = tf.addN([reconstruction, perceptual, adversarial, ...Object.values(losses)]) as tf.Scalar;
  return {
    total,
    reconstruction,
    quantizer: { losses, measures },
    perceptual,
    adversarial,
    codes,
    reconstructed,
    statistics: judged.statistics,
  };
}

/** How alike reconstructions and images are. */
function likeness(
  reconstructed: tf.Tensor4D,
  images: tf.Tensor4D,
  { reconstruction: usual }: Trainable,
  { reconstruction = usual, perceptual }: VqGanOptions,
) {
  const distance = perceptual
    ? tf.mul(tf.mean(perceptual.distance(images, reconstructed)), perceptual.weight)
    : tf.scalar(0);
  return {
    reconstruction: reconstructionLoss(tf.sub(reconstructed, images), reconstruction),
    perceptual: distance as tf.Scalar,
  };
}

/**
 * The adaptive weight of the adversarial loss, see `adaptiveWeight`: a number, worked out before {@link vqGanLosses} is differentiated.
 * Source: `VQLoss.calculate_adaptive_weight` of LlamaGen's `vq_loss.py`, at `decoder.conv_out`. The caller owns the result.
 */
export function vqGanWeight(
  params: Params,
  spec: TrainableSpec,
  images: tf.Tensor4D,
  adversary: Adversary,
  options: VqGanOptions,
): tf.Scalar {
  const trainable = trainableOf(spec);
  const { last } = trainable;
  const { features } = trainable.pass(params, images);
  const name = `${lastLayerName(last)}.weight`;
  const decode = (filter: tf.Tensor) => runLayer({ ...params, [name]: filter }, last, features);
  const ofLikeness = tf.grad((filter: tf.Tensor) => {
    const { reconstruction, perceptual } = likeness(decode(filter), images, trainable, options);
    return tf.add(reconstruction, perceptual);
  });
  const ofOpposition = tf.grad((filter: tf.Tensor) =>
    generatorLoss(options.generatorLoss, discriminate(adversary.params, adversary.config, decode(filter), true).logits),
  );
  const filter = parameter(params, name);
  return adaptiveWeight(ofLikeness(filter), ofOpposition(filter));
}

function lastLayerName(last: Layer): string {
  if (last.kind !== "conv") throw new Error(`the decoder ends with ${last.kind}, not with a convolution`);
  return last.name;
}

/** Loss of a discriminator, and what it keeps. */
export interface AdversaryLosses {
  /** Times the weight. */
  readonly loss: tf.Scalar;
  /** Means of the logits of images and of reconstructions. */
  readonly real: tf.Scalar;
  readonly fake: tf.Scalar;
  /** Running statistics after images, then reconstructions. */
  readonly statistics: Record<string, tf.Tensor>;
}

/**
 * Loss of the discriminator; gradients flow to its own parameters. Source: `VQLoss.forward` with `optimizer_idx = 1` of LlamaGen's
 * `vq_loss.py`.
 *
 * @param images float32 `[N, H, W, C]` in `[-1, 1]`
 * @param reconstructed the same
 * @param weight as in {@link vqGanLosses}
 */
export function adversaryLosses(
  { config, params }: Adversary,
  images: tf.Tensor4D,
  reconstructed: tf.Tensor4D,
  weight: tf.Scalar | number,
  kind: DiscriminatorLoss,
): AdversaryLosses {
  const real = discriminate(params, config, images, true);
  const fake = discriminate({ ...params, ...real.statistics }, config, stopGradient(reconstructed), true);
  return {
    loss: tf.mul(discriminatorLoss(kind, real.logits, fake.logits), weight) as tf.Scalar,
    real: tf.mean(real.logits),
    fake: tf.mean(fake.logits),
    statistics: fake.statistics,
  };
}
