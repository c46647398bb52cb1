import type { TensorData } from "@tensorar/core";
import {
  type Adversary,
  adversaryLosses,
  type DiscriminatorLoss,
  type GeneratorLoss,
  initPatchGan,
  isStatistic,
  type PatchGanConfig,
  type VqConfig,
  type VqGanOptions,
  vqGanLosses,
  vqGanWeight,
} from "@tensorar/tokenizer";
import * as tf from "@tensorflow/tfjs-core";
import { hostParams } from "./host-params";
import { initialTrainingState } from "./initial-state";
import { type OptimizerOptions, optimize } from "./optimize";
import type { StepInputs, StepOutputs, TrainingState } from "./task";

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

/** What a step is made of. */
export interface AdversarialStep {
  readonly config: VqConfig;
  /** float32 [N, S, S, 3] in [-1, 1] */
  readonly images: tf.Tensor4D;
  readonly distance: VqGanOptions["perceptual"];
  readonly adversary: AdversaryOptions;
  readonly optimizer: OptimizerOptions;
}

/**
 * One step of the tokenizer, then one of the discriminator on the same reconstructions. Source: `tokenizer/tokenizer_image/vq_train.py`
 * of FoundationVision/LlamaGen. Differs: the running statistics of the discriminator, which nothing reads in training, stay.
 */
export function adversarialStep(inputs: StepInputs, parts: AdversarialStep): StepOutputs {
  const { images, adversary } = parts;
  const { step } = inputs;
  const begun = tf.cast(tf.greater(step, adversary.start), "float32"); // []
  const weight = tf.mul(begun, adversary.weight) as tf.Scalar;
  const own = tokenizerStep(inputs, parts, weight);
  const { reconstructed, ...metrics } = own.metrics;
  const opposing = discriminatorStep(inputs, parts, { images, reconstructed: reconstructed as tf.Tensor4D, weight });
  return {
    state: { ...own.state, ...renamed(opposing.state) },
    metrics: {
      ...metrics,
      discriminator: opposing.metrics.loss!,
      logits_real: opposing.metrics.real!,
      logits_fake: opposing.metrics.fake!,
    },
  };
}

/** @param weight of the adversarial loss at this step */
function tokenizerStep(inputs: StepInputs, parts: AdversarialStep, weight: tf.Scalar): StepOutputs {
  const { config, images, distance, adversary, optimizer } = parts;
  const { state } = inputs;
  const against: Adversary = { config: adversary.discriminator, params: state[RECORDS.params]! };
  const losses: VqGanOptions = {
    reconstruction: {},
    perceptual: distance,
    generatorLoss: adversary.generatorLoss,
  };
  const adaptive = adversary.adaptive ? vqGanWeight(state.params!, config, images, against, losses) : tf.scalar(1);
  const { state: next, metrics } = optimize(inputs, optimizer, (params) => {
    const opposed = tf.mul(weight, adaptive) as tf.Scalar;
    const all = vqGanLosses(params, config, images, against, opposed, losses);
    const { total, codes: _, statistics: __, ...others } = all;
    return { loss: total, ...others };
  });
  return { state: next, metrics: { ...metrics, adaptive } };
}

function discriminatorStep(
  { state, learningRate, step }: StepInputs,
  { adversary, optimizer }: AdversarialStep,
  given: { readonly images: tf.Tensor4D; readonly reconstructed: tf.Tensor4D; readonly weight: tf.Scalar },
): StepOutputs {
  const { images, reconstructed, weight } = given;
  const own = {
    params: state[RECORDS.params]!,
    firstMoment: state[RECORDS.firstMoment]!,
    secondMoment: state[RECORDS.secondMoment]!,
    ema: state[RECORDS.params]!, // none is kept
  };
  const options = { ...optimizer, emaDecay: 0, isFrozen: isStatistic };
  return optimize({ state: own, learningRate, step }, options, (params) => {
    const opponent = { config: adversary.discriminator, params };
    const { loss, real, fake } = adversaryLosses(opponent, images, reconstructed, weight, adversary.discriminatorLoss);
    return { loss, real, fake };
  });
}

/** The discriminator's records under the names that they have beside the tokenizer's. */
const renamed = (state: StepOutputs["state"]): StepOutputs["state"] =>
  Object.fromEntries(Object.entries(RECORDS).map(([name, record]) => [record, state[name]!] as const));
