import type { TensorData, TensorSpec } from "@tensorar/core";
import {
  type Adversary,
  adversaryLosses,
  type DiscriminatorLoss,
  type GeneratorLoss,
  initPatchGan,
  isStatistic,
  type PatchGanConfig,
  type TrainableSpec,
  type VqGanOptions,
  vqGanLosses,
  vqGanWeight,
} from "@tensorar/tokenizer";
import * as tf from "@tensorflow/tfjs-core";
import { hostParams } from "./host-params";
import { initialTrainingState } from "./initial-state";
import { descend, gradientsOf, type Optimization, type OptimizerOptions } from "./optimize";
import type { GradientInputs, Gradients, StepOutputs, TrainingState, UpdateInputs } from "./task";

/** How a tokenizer is trained against a discriminator. */
export interface AdversaryOptions {
  readonly discriminator: PatchGanConfig;
  /** Of the adversarial losses, after they start; LlamaGen's is 0.5. */
  readonly weight: number;
  /** Steps before they start. */
  readonly start: number;
  /** Whether the weight also follows the gradients at the decoder's last layer, as LlamaGen's does. */
  readonly adaptive: boolean;
  readonly generatorLoss: GeneratorLoss;
  readonly discriminatorLoss: DiscriminatorLoss;
}

const RECORDS = { params: "adversary", firstMoment: "adversaryFirstMoment", secondMoment: "adversarySecondMoment" };

/** The discriminator's part of the state. */
export function initialAdversary({ discriminator }: AdversaryOptions, seed: number): TrainingState {
  const state = initialTrainingState(hostParams(initPatchGan(discriminator, seed)), isStatistic);
  return Object.fromEntries(
    Object.entries(RECORDS).map(([name, record]): [string, Record<string, TensorData>] => [record, state[name]!]),
  );
}

/** What a training against a discriminator is made of. */
export interface AdversarialTraining {
  readonly spec: TrainableSpec;
  readonly distance: VqGanOptions["perceptual"];
  readonly adversary: AdversaryOptions;
  readonly optimizer: OptimizerOptions;
}

type Inputs = GradientInputs<{ readonly images: TensorSpec }>;

/**
 * Steps of the tokenizer and of the discriminator, which sees the tokenizer's reconstructions from before its step. Source:
 * `tokenizer/tokenizer_image/vq_train.py` of FoundationVision/LlamaGen. Differs: the running statistics of the discriminator,
 * which nothing reads in training, stay.
 */
export function adversarialOptimization(parts: AdversarialTraining): Optimization<{ images: TensorSpec }> {
  const { adversary, optimizer } = parts;
  return {
    gradientsLike: (state) => ({
      params: state.firstMoment!,
      [RECORDS.params]: state[RECORDS.firstMoment]!,
    }),
    gradients(inputs) {
      const begun = tf.cast(tf.greater(inputs.step, adversary.start), "float32"); // []
      const weight = tf.mul(begun, adversary.weight) as tf.Scalar;
      const own = tokenizerGradients(inputs, parts, weight);
      const { reconstructed, ...metrics } = own.metrics;
      const opposing = discriminatorGradients(inputs, adversary, {
        reconstructed: reconstructed as tf.Tensor4D,
        weight,
      });
      return {
        gradients: { params: own.gradients.params!, [RECORDS.params]: opposing.gradients.params! },
        metrics: {
          ...metrics,
          discriminator: opposing.metrics.loss!,
          logits_real: opposing.metrics.real!,
          logits_fake: opposing.metrics.fake!,
        },
      };
    },
    update(inputs) {
      const own = descend(inputs, optimizer);
      const opposing = discriminatorUpdate(inputs, optimizer);
      return { state: { ...own.state, ...renamed(opposing.state) }, metrics: own.metrics };
    },
  };
}

/** @param weight of the adversarial loss at this step */
function tokenizerGradients({ weights, batch }: Inputs, parts: AdversarialTraining, weight: tf.Scalar): Gradients {
  const { spec, distance, adversary } = parts;
  const images = batch.images as tf.Tensor4D;
  const against: Adversary = { config: adversary.discriminator, params: weights[RECORDS.params]! };
  const losses: VqGanOptions = {
    perceptual: distance,
    generatorLoss: adversary.generatorLoss,
  };
  const adaptive = adversary.adaptive ? vqGanWeight(weights.params!, spec, images, against, losses) : tf.scalar(1);
  const { gradients, metrics } = gradientsOf(weights.params!, {}, (params) => {
    const opposed = tf.mul(weight, adaptive) as tf.Scalar;
    const all = vqGanLosses(params, spec, images, against, opposed, losses);
    const { total, quantizer, codes: _, statistics: __, ...others } = all;
    return { loss: total, ...others, ...quantizer.losses, ...quantizer.measures };
  });
  return { gradients, metrics: { ...metrics, adaptive } };
}

function discriminatorGradients(
  { weights, batch }: Inputs,
  adversary: AdversaryOptions,
  given: { readonly reconstructed: tf.Tensor4D; readonly weight: tf.Scalar },
): Gradients {
  const { reconstructed, weight } = given;
  return gradientsOf(weights[RECORDS.params]!, { isFrozen: isStatistic }, (params) => {
    const opponent = { config: adversary.discriminator, params };
    const images = batch.images as tf.Tensor4D;
    const { loss, real, fake } = adversaryLosses(opponent, images, reconstructed, weight, adversary.discriminatorLoss);
    return { loss, real, fake };
  });
}

function discriminatorUpdate(
  { state, gradients, learningRate, step }: UpdateInputs,
  optimizer: OptimizerOptions,
): StepOutputs {
  const own = {
    params: state[RECORDS.params]!,
    firstMoment: state[RECORDS.firstMoment]!,
    secondMoment: state[RECORDS.secondMoment]!,
    ema: state[RECORDS.params]!, // none is kept
  };
  const options = { ...optimizer, emaDecay: 0, isFrozen: isStatistic };
  return descend({ state: own, gradients: { params: gradients[RECORDS.params]! }, learningRate, step }, options);
}

/** The discriminator's records under the names that they have beside the tokenizer's. */
const renamed = (state: StepOutputs["state"]): StepOutputs["state"] =>
  Object.fromEntries(Object.entries(RECORDS).map(([name, record]) => [record, state[name]!] as const));
