import { castTensor, type TensorData } from "@tensorar/checkpoint";
import { describeIssues, TensorARError } from "@tensorar/core";
import { z } from "zod";
import { attachTensorAR, type TensorARModel } from "./attach";
import type { Backbone, Condition } from "./backbone";
import { checkTensors } from "./check-tensors";
import { janus } from "./janus";
import type { JanusConfig } from "./janus-config";
import { llamaGen } from "./llamagen";
import type { LlamaGenConfig } from "./llamagen-config";
import { magvit2Ar } from "./magvit2";
import type { Magvit2ArConfig } from "./magvit2-config";
import { STRUCTURES } from "./modules";
import { rar } from "./rar";
import type { RarConfig } from "./rar-config";
import { type TextLlamaGenConfig, textLlamaGen } from "./text-llamagen";

/** What `config.json` says of a backbone of one's own, for the function that makes it. */
export type OwnConfig = Readonly<Record<string, unknown>>;

/** A backbone of one's own, or what makes it of its configuration. */
export type OwnBackbone = Backbone<Condition> | ((config: OwnConfig) => Backbone<Condition>);

const schema = z.strictObject({
  /** The family of the base model, which says what `backbone` holds; `own` for a backbone that this package does not have. */
  kind: z.enum(["llamagen", "llamagen-text", "rar", "magvit2", "janus", "own"]),
  backbone: z.custom<LlamaGenConfig | TextLlamaGenConfig | RarConfig | Magvit2ArConfig | JanusConfig | OwnConfig>(
    (value) => typeof value === "object" && value !== null,
  ),
  /** windowSize 1 is the base model itself. */
  tensorar: z.strictObject({
    windowSize: z.int().positive(),
    depth: z.int().positive(),
    structure: z.enum(STRUCTURES),
    evidence: z.enum(["implicit", "explicit"]).optional(),
    blanks: z.boolean().optional(),
  }),
  /** Noise rates β(j) that the modules were trained with; what draft policy `renoise` applies. */
  noiseRates: z.array(z.number()),
  /** Rows and columns of codes. */
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  classes: z.array(z.string()),
  /** Folder of the text encoder, relative to the model's; `text-encoder` inside of it when left out. Of models of captions. */
  textEncoder: z.string().min(1).optional(),
  training: z.record(z.string(), z.unknown()).optional(),
});

/** What `config.json` of a model folder holds. */
export type ModelDescription = z.infer<typeof schema>;

/** What the description of a base model holds, to which TensorAR was not attached: tensors of one token. */
export const BASE_FORM: Pick<ModelDescription, "tensorar" | "noiseRates"> = {
  tensorar: { windowSize: 1, depth: 1, structure: "maps" },
  noiseRates: [0],
};

/** A model folder in memory. */
export interface ModelFolder extends ModelDescription {
  /** float32: the base model's tensors by their original names, TensorAR's under `tensorar.`. */
  readonly tensors: Record<string, TensorData>;
}

/** A model folder that was read: with its functions, see {@link modelOf}. */
export interface LoadedModel extends ModelFolder {
  readonly model: TensorARModel<Condition>;
}

/**
 * The functions of a described model, of a folder that was loaded or of a plain object: no file is read.
 * @param own the backbone of a model of kind `own`
 * @throws TensorARError when the configuration describes no model, or its kind and `own` do not belong together
 */
export function modelOf(description: ModelDescription, own?: OwnBackbone): TensorARModel<Condition> {
  return attachTensorAR<Condition>(backboneOf(description, own), description.tensorar);
}

function backboneOf({ kind, backbone }: ModelDescription, own: OwnBackbone | undefined): Backbone<Condition> {
  if (kind !== "own") {
    if (own !== undefined)
      throw new TensorARError(`kind is "${kind}", which this package has; leave the backbone of your own out`);
    return BACKBONES[kind](backbone as never) as Backbone<Condition>;
  }
  if (own === undefined)
    throw new TensorARError(
      'kind is "own", a backbone that this package does not have; give its file with --backbone',
      {
        code: "missing",
      },
    );
  return typeof own === "function" ? own(backbone as OwnConfig) : own;
}

/** By the family's name; each checks its configuration. */
const BACKBONES = {
  llamagen: (config: LlamaGenConfig) => llamaGen(config),
  "llamagen-text": (config: TextLlamaGenConfig) => textLlamaGen(config),
  rar: (config: RarConfig) => rar(config),
  magvit2: (config: Magvit2ArConfig) => magvit2Ar(config),
  janus: (config: JanusConfig) => janus(config),
};

/** What a model folder is, for messages. */
export const MODEL_FOLDER = "a model folder (config.json, model.safetensors)";

/**
 * A model folder from what its files hold, wherever they come from.
 *
 * @param config the value that `config.json` holds
 * @param tensors of `model.safetensors`, of any floating-point type
 * @param files what errors name
 * @param own the backbone of a model of kind `own`
 * @throws TensorARError naming the file and what is wrong with it: a configuration that is not valid, tensors that do not fit
 */
export function parseModel(
  config: unknown,
  tensors: Readonly<Record<string, TensorData>>,
  files: { readonly config: string; readonly tensors: string } = {
    config: "config.json",
    tensors: "model.safetensors",
  },
  own?: OwnBackbone,
): LoadedModel {
  const { description, model } = checkDescription(config, files.config, own);
  const cast = Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, "float32")]),
  );
  checkTensors(model.shapes, cast, files.tensors);
  return { ...description, model, tensors: cast };
}

/** @throws TensorARError naming the file when the value describes no model */
export function checkDescription(
  config: unknown,
  path: string,
  own?: OwnBackbone,
): { readonly description: ModelDescription; readonly model: TensorARModel<Condition> } {
  const parsed = schema.safeParse(config);
  if (!parsed.success)
    throw new TensorARError(`${path}: not ${MODEL_FOLDER}: ${describeIssues(parsed.error.issues, config)}`);
  const description = parsed.data;
  return { description, model: checkModel(path, description, own) };
}

/**
 * Checks a description against the model that it describes.
 * @returns the model
 * @throws TensorARError naming what does not fit
 */
export function checkModel(source: string, description: ModelDescription, own?: OwnBackbone): TensorARModel<Condition> {
  const { kind, backbone: config, tensorar, noiseRates, grid, classes } = description;
  const model = inFile(source, () => modelOf(description, own));
  const { backbone } = model;
  const refuse = (what: string): never => {
    throw new TensorARError(`${source}: ${what}; correct the config`);
  };
  const side = Math.sqrt(backbone.tokens);
  if (grid[0] !== side || grid[1] !== side)
    refuse(`grid ${grid.join(" x ")}, but the model's ${backbone.tokens} tokens are ${side} x ${side}`);
  const known = CLASSES[kind](config as never);
  if (known !== undefined && classes.length > 0 && classes.length !== known)
    refuse(`${classes.length} names of classes, but the model has ${known}`);
  if (noiseRates.length !== tensorar.windowSize)
    refuse(`${noiseRates.length} noise rates for a window of ${tensorar.windowSize}, which needs one for each entry`);
  const rate = noiseRates.find((each) => !(each >= 0 && each <= 1));
  if (rate !== undefined) refuse(`a noise rate of ${rate}, which is a probability, from 0 to 1`);
  return model;
}

/** Classes by the family's name; undefined for models that are conditioned on something else. */
const CLASSES = {
  llamagen: (config: LlamaGenConfig) => (config.model_type === "c2i" ? config.num_classes : undefined),
  rar: (config: RarConfig) => config.condition_num_classes,
  magvit2: (config: Magvit2ArConfig) => config.class_num,
  "llamagen-text": () => undefined,
  janus: () => undefined,
  own: () => undefined,
};

/** Errors about the configuration name the file that it is in. */
function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${path}: ${cause.message}`, { cause });
  }
}
