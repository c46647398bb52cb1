import type { TensorData, TensorSpec } from "@tensorar/core";
import { batchIndices, type Dataset, toFloatImages } from "@tensorar/data";
import { toParams } from "@tensorar/model";
import { initTokenizer, type TrainableSpec, tokenizerLosses } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { TRAINING_DEFAULTS } from "../settings";
import { type AdversaryOptions, adversarialOptimization, initialAdversary } from "./adversarial-step";
import { hostParams } from "./host-params";
import { initialTrainingState } from "./initial-state";
import { type OptimizerOptions, optimized } from "./optimize";
import type { GradientInputs, TrainingTask } from "./task";

/** A distance of images that looks as people do, with its parameters: LPIPS, or the features of a classifier. */
export interface PerceptualLoss {
  readonly tensors: Readonly<Record<string, TensorData>>;
  /** [N] for images [N, S, S, 3] in [-1, 1]; differentiable and traceable */
  readonly distance: (params: Readonly<Record<string, tf.Tensor>>, a: tf.Tensor4D, b: tf.Tensor4D) => tf.Tensor;
  /** Of its mean in the loss. */
  readonly weight: number;
}

/** Options of a tokenizer's training. */
export interface TokenizerTrainingOptions extends OptimizerOptions {
  /** Images of a batch; default 64. */
  readonly batchSize?: number;
  /** The one source of all random numbers; default 0. */
  readonly seed?: number;
  /** Default: none. */
  readonly perceptual?: PerceptualLoss | undefined;
  /** Trains against a discriminator; default: no. */
  readonly adversary?: AdversaryOptions | undefined;
}

type ImageBatch = { images: TensorSpec };

/**
 * Trains a tokenizer on the training images of a data set; the result is a tokenizer folder. With a perceptual loss and an
 * adversary this is LlamaGen's training of its VQ autoencoder, or Open-MAGVIT2's of its lookup-free tokenizer.
 */
export function tokenizerTask(
  dataset: Dataset,
  spec: TrainableSpec,
  options: TokenizerTrainingOptions = {},
): TrainingTask<ImageBatch> {
  const { batchSize: N, seed } = { ...TRAINING_DEFAULTS, ...options };
  const { size } = dataset.info;
  const { perceptual, adversary, ...rest } = options;
  const distance = perceptual && constantDistance(perceptual);
  return {
    title: "tokenizer",
    recipe: { ...rest, ...(perceptual && { perceptualWeight: perceptual.weight }), adversary, ...spec },
    batchSpec: { images: { dtype: "float32", shape: [N, size, size, 3] } },
    initialState() {
      distance?.prepare();
      return {
        ...initialTrainingState(hostParams(initTokenizer(spec, seed))),
        ...(adversary && initialAdversary(adversary, seed)),
      };
    },
    ...(adversary
      ? adversarialOptimization({ spec, distance, adversary, optimizer: options })
      : optimized(options, (params, { batch }: GradientInputs<ImageBatch>) => {
          const images = batch.images as tf.Tensor4D;
          const { total, reconstruction, quantizer, reconstructed } = tokenizerLosses(params, spec, images);
          const terms = { reconstruction, ...quantizer.losses, ...quantizer.measures };
          if (!distance) return { loss: total, ...terms };
          const seen = tf.mul(tf.mean(distance.distance(images, reconstructed)), distance.weight);
          return { loss: tf.add(total, seen), ...terms, perceptual: seen };
        })),
    async batch(step) {
      const picks = batchIndices({ count: dataset.train.length, batchSize: N, seed, step });
      const pixels = await dataset.readImages(picks.map((i) => dataset.train[i]!));
      return { images: { dtype: "float32", shape: [N, size, size, 3], data: toFloatImages(pixels) } };
    },
    save: (dir, tensors, { precision, recipe }) =>
      saveTokenizer(dir, { ...spec, imageSize: size, training: { ...recipe }, tensors }, precision),
  };
}

/** A perceptual loss whose parameters are constants of the step: they are made once, outside of it. */
function constantDistance({ tensors, distance, weight }: PerceptualLoss) {
  let params: Record<string, tf.Tensor> | undefined;
  return {
    weight,
    /** Made when an engine is there. */
    prepare(): void {
      params ??= toParams(tensors);
    },
    distance: (a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor => {
      if (params === undefined) throw new Error("the perceptual loss is used before the first state was made");
      return distance(params, a, b);
    },
  };
}
