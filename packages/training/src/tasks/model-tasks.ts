import { TensorARError } from "@tensorar/core";
import { writeChecksums } from "@tensorar/core/node";
import type { Codes } from "@tensorar/data";
import {
  BASE_FORM,
  initLlamaGen,
  initParameters,
  type LlamaGenConfig,
  type LoadedModel,
  type ModelDescription,
  modelOf,
  type OutputStructure,
  type OwnBackbone,
} from "@tensorar/model";
import { type NoiseSchedule, noiseRates } from "@tensorar/noise";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { inheritedTextEncoder } from "@tensorar/text-encoder/node";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { classConditions, type TrainingConditions } from "../conditions/training-conditions";
import { TRAINING_DEFAULTS } from "../settings";
import { type ArSpecs, type ArTrainingOptions, arTask } from "./ar-task";
import { hostParams } from "./host-params";
import type { TrainingTask } from "./task";

/**
 * Trains a base model of classes, LlamaGen's decoder, on codes.
 * @param sizes of the model: `dim`, `n_layer`, `n_head` and the like; what the codes say is filled in
 */
export function pretrainTask(
  codes: Codes,
  sizes: Pick<LlamaGenConfig, "dim" | "n_layer" | "n_head" | "multiple_of">,
  options: ArTrainingOptions = {},
): TrainingTask<ArSpecs> {
  const { classDropout = TRAINING_DEFAULTS.classDropout, seed = TRAINING_DEFAULTS.seed } = options;
  const backbone: LlamaGenConfig = {
    model_type: "c2i",
    dim: sizes.dim,
    n_layer: sizes.n_layer,
    n_head: sizes.n_head,
    multiple_of: sizes.multiple_of,
    vocab_size: codes.vocabSize,
    block_size: codes.grid[0] * codes.grid[1],
    num_classes: codes.classes.length,
    cls_token_num: 1,
    class_dropout_prob: classDropout,
  };
  const description: ModelDescription = {
    kind: "llamagen",
    backbone,
    ...BASE_FORM,
    grid: codes.grid,
    classes: codes.classes,
  };
  return arTask(
    {
      title: "base model",
      recipe: { ...options, backbone },
      description,
      initial: () => hostParams(initLlamaGen(backbone, seed)),
      codes,
      conditions: classConditions(codes.labels, backbone.num_classes),
    },
    options,
  );
}

/**
 * Trains a base model of classes with a backbone of one's own on codes, from fresh parameters (see `initParameters`).
 * @throws TensorARError where the backbone takes no classes, or others than the codes have
 */
export function pretrainOwnTask(
  codes: Codes,
  own: OwnBackbone,
  options: ArTrainingOptions = {},
): TrainingTask<ArSpecs> {
  const { seed = TRAINING_DEFAULTS.seed } = options;
  const description: ModelDescription = {
    kind: "own",
    backbone: {},
    ...BASE_FORM,
    grid: codes.grid,
    classes: codes.classes,
  };
  const { backbone, shapes } = modelOf(description, own);
  const [V, T, classes] = [codes.vocabSize, codes.grid[0] * codes.grid[1], codes.classes.length];
  const { condition, unconditionalClass, tokens, vocabSize } = backbone;
  if (!("dtype" in condition) || unconditionalClass !== classes || tokens !== T || vocabSize !== V)
    throw new TensorARError(
      `the backbone has vocabSize ${vocabSize}, tokens ${tokens} and unconditionalClass ${unconditionalClass}; these codes need ` +
        `${V}, ${T} and ${classes}, the number of their classes`,
    );
  return arTask(
    {
      title: "base model",
      recipe: { ...options },
      description,
      own,
      initial: () => hostParams(initParameters(shapes, seed)),
      codes,
      conditions: classConditions(codes.labels, classes),
    },
    options,
  );
}

/** How TensorAR is attached to a base model. */
export interface TensorAROptions {
  /** k, tokens in one tensor; 1 goes on training the base model, which is the control. */
  readonly windowSize: number;
  /** Blocks of both query transformers. */
  readonly depth: number;
  /** How the output decoder tells its k states apart. */
  readonly structure: OutputStructure;
  /** Schedule of the noise rates β(j). */
  readonly noise: NoiseSchedule;
}

/**
 * Attaches TensorAR to a base model and trains both on codes.
 *
 * @param base with the folder that it is from, beside whose weights its tokenizer of prompts lies where it takes some
 * @param codes that fit the model, see `fitCodes`
 * @param conditions of these codes, see `trainingConditions`
 * @throws TensorARError when the options do not fit the model
 */
export function finetuneTask(
  base: { readonly model: LoadedModel; readonly dir: string; readonly own?: OwnBackbone | undefined },
  codes: Codes,
  conditions: TrainingConditions,
  { windowSize, depth, structure, noise }: TensorAROptions,
  options: ArTrainingOptions = {},
): TrainingTask<ArSpecs> {
  const { seed = TRAINING_DEFAULTS.seed } = options;
  const { tensors, model: _, training: __, ...description } = base.model;
  const attached: ModelDescription = {
    ...description,
    tensorar: { windowSize, depth, structure },
    noiseRates: [...noiseRates(noise, windowSize)],
  };
  const model = modelOf(attached, base.own);
  return arTask(
    {
      title: windowSize === 1 ? "control" : "TensorAR",
      recipe: { ...options, base: base.dir, tensorar: attached.tensorar, noise },
      description: attached,
      located: (dir) => inheritedTextEncoder(base.dir, dir),
      own: base.own,
      initial: () => ({ ...tensors, ...hostParams(model.initModules(seed)) }),
      codes,
      conditions,
      ...(takesPrompts(model.backbone) && { afterSave: (dir) => addPromptTokenizer(base.dir, dir) }),
    },
    options,
  );
}

/** A model of prompts comes with their tokenizer. */
async function addPromptTokenizer(base: string, dir: string): Promise<void> {
  await copyPromptTokenizer(base, dir);
  await writeChecksums(dir, ["config.json", "model.safetensors", ...TOKENIZER_FILES]);
}
