import type { TensorData } from "@tensorar/checkpoint";
import type { Dataset } from "@tensorar/data";
import { batchIndices, toFloatImages } from "@tensorar/data";
import { adamW, emaUpdate, lossAndGradients } from "@tensorar/model";
import { type VqConfig, vqLosses } from "@tensorar/tokenizer";
import { initialTrainingState } from "./initial-state";
import type { StepInputs, StepOutputs, TrainingTask } from "./train";

export interface TokenizerTrainingOptions {
  readonly batchSize: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly emaDecay: number;
  readonly seed: number;
}

/** Trains a VQ autoencoder on the training images of a data set. */
export function tokenizerTask(
  config: VqConfig,
  initial: Record<string, TensorData>,
  dataset: Dataset,
  options: TokenizerTrainingOptions,
): TrainingTask {
  const { batchSize: N, seed } = options;
  const size = dataset.info.size;

  const step = ({ state, batch, learningRate, step }: StepInputs): StepOutputs => {
    const { measures, grads } = lossAndGradients(state.params!, (params) => {
      const { total, codes: _codes, ...losses } = vqLosses(params, config, batch.images as never);
      return { loss: total, ...losses };
    });
    const moments = { firstMoment: state.firstMoment!, secondMoment: state.secondMoment! };
    const next = adamW(state.params!, grads, moments, {
      learningRate,
      step,
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: options.weightDecay,
      clip: options.clip,
    });
    return {
      state: { params: next.params, ...next.state, ema: emaUpdate(state.ema!, next.params, options.emaDecay) },
      measures: { ...measures, gradNorm: next.gradNorm },
    };
  };

  return {
    title: "tokenizer",
    step,
    batchSpec: { images: { dtype: "float32", shape: [N, size, size, 3] } },
    initialState: () => initialTrainingState(initial),
    async batch(step) {
      const picks = batchIndices({ count: dataset.train.length, batchSize: N, seed, step });
      const pixels = await dataset.readImages(picks.map((i) => dataset.train[i]!));
      return { images: { dtype: "float32", shape: [N, size, size, 3], data: toFloatImages(pixels) } };
    },
  };
}
