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
  type OwnBackbone,
} from "@tensorar/model";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { inheritedTextEncoder } from "@tensorar/text-encoder/node";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { classConditions, type TrainingConditions } from "../conditions/training-conditions";
import { TRAINING_DEFAULTS } from "../settings";
import { type ArSpecs, type ArTraining, type ArTrainingOptions, arTask } from "./ar-task";
import { hostParams } from "./host-params";
import type { ParameterRates } from "./optimize";
import { type PhaseOptions, phasedRates } from "./phases";
import type { TrainingTask } from "./task";
import { type TensorAROptions, tensorarForm } from "./tensorar-form";

/** TensorAR from the first step on, in place of a base model. */
export interface PretrainOptions extends ArTrainingOptions {
  readonly tensorar?: TensorAROptions | undefined;
}

/**
 * Trains a model of classes, LlamaGen's decoder, on codes: a base model, or one that TensorAR is attached to from the start.
 * @param sizes of the model: `dim`, `n_layer`, `n_head` and the like; what the codes say is filled in
 * @throws TensorARError when the options do not fit the model
 */
export function pretrainTask(
  codes: Codes,
  sizes: Pick<LlamaGenConfig, "dim" | "n_layer" | "n_head" | "multiple_of">,
  options: PretrainOptions = {},
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
  return fromScratch(
    {
      recipe: { ...options, backbone },
      description: { kind: "llamagen", backbone, ...BASE_FORM, grid: codes.grid, classes: codes.classes },
      initial: () => hostParams(initLlamaGen(backbone, seed)),
      codes,
      conditions: classConditions(codes.labels, backbone.num_classes),
    },
    options,
  );
}

/** A training from nothing, with TensorAR attached to the base model that `training` describes where the options say so. */
export function fromScratch(training: Omit<ArTraining, "title">, options: PretrainOptions): TrainingTask<ArSpecs> {
  const { tensorar, seed = TRAINING_DEFAULTS.seed } = options;
  if (tensorar === undefined) return arTask({ ...training, title: "base model" }, options);
  const form = tensorarForm(tensorar);
  const description = { ...training.description, ...form.description };
  const model = modelOf(description, training.own);
  const initial = () => ({
    ...training.initial(),
    ...hostParams(model.initModules(seed)),
    ...form.initial(model.backbone.vocabSize),
  });
  return arTask({ ...training, title: "TensorAR", description, noising: form.noising, initial }, options);
}

/**
 * Trains a base model of classes with a backbone of one's own on codes, from fresh parameters (see `initParameters`).
 * @throws TensorARError where the backbone takes no classes, or others than the codes have
 */
export function pretrainOwnTask(codes: Codes, own: OwnBackbone, options: PretrainOptions = {}): TrainingTask<ArSpecs> {
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
  return fromScratch(
    {
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

/** Options of a fine-tuning. */
export interface FinetuneOptions extends ArTrainingOptions, PhaseOptions {}

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
  tensorar: TensorAROptions,
  options: FinetuneOptions = {},
): TrainingTask<ArSpecs> {
  const { seed = TRAINING_DEFAULTS.seed } = options;
  const { tensors, model: _, training: __, ...description } = base.model;
  const form = tensorarForm(tensorar);
  const attached: ModelDescription = { ...description, ...form.description };
  const model = modelOf(attached, base.own);
  const rates: ParameterRates = phasedRates(model, options);
  return arTask(
    {
      title: model.windowSize === 1 ? "control" : "TensorAR",
      recipe: { ...options, base: base.dir, tensorar },
      description: attached,
      noising: form.noising,
      rates,
      located: (dir) => inheritedTextEncoder(base.dir, dir),
      own: base.own,
      initial: () => ({
        ...tensors,
        ...hostParams(model.initModules(seed)),
        ...form.initial(model.backbone.vocabSize),
      }),
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
