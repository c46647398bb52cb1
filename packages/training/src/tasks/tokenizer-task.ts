import type { TensorSpec } from "@tensorar/core";
import { batchIndices, type Dataset, toFloatImages } from "@tensorar/data";
import { initVq, type VqConfig, vqLosses } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import type * as tf from "@tensorflow/tfjs-core";
import { TRAINING_DEFAULTS } from "../settings";
import { hostParams } from "./host-params";
import { initialTrainingState } from "./initial-state";
import { type OptimizerOptions, optimize } from "./optimize";
import type { TrainingTask } from "./task";

/** Options of a tokenizer's training. */
export interface TokenizerTrainingOptions extends OptimizerOptions {
  /** Images a step; default 64. */
  readonly batchSize?: number;
  /** The one source of all random numbers; default 0. */
  readonly seed?: number;
}

/** Trains a VQ autoencoder on the training images of a data set; the result is a tokenizer folder. */
export function tokenizerTask(
  dataset: Dataset,
  config: VqConfig,
  options: TokenizerTrainingOptions = {},
): TrainingTask<{ images: TensorSpec }> {
  const { batchSize: N, seed } = { ...TRAINING_DEFAULTS, ...options };
  const { size } = dataset.info;
  return {
    title: "tokenizer",
    recipe: { ...options, config },
    batchSpec: { images: { dtype: "float32", shape: [N, size, size, 3] } },
    initialState: () => initialTrainingState(hostParams(initVq(config, seed))),
    step: (inputs) =>
      optimize(inputs, options, (params) => {
        const { total, codes: _codes, ...losses } = vqLosses(params, config, inputs.batch.images as tf.Tensor4D);
        return { loss: total, ...losses };
      }),
    async batch(step) {
      const picks = batchIndices({ count: dataset.train.length, batchSize: N, seed, step });
      const pixels = await dataset.readImages(picks.map((i) => dataset.train[i]!));
      return { images: { dtype: "float32", shape: [N, size, size, 3], data: toFloatImages(pixels) } };
    },
    save: (dir, tensors, { precision, recipe }) =>
      saveTokenizer(dir, { kind: "vq", imageSize: size, config, training: { ...recipe }, tensors }, precision),
  };
}
