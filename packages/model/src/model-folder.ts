import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { describeIssues, TensorARError } from "@tensorar/core";
import { checkFolder, readJson, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
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
import type { ParameterShapes } from "./parameters";
import { rar } from "./rar";
import type { RarConfig } from "./rar-config";

const schema = z.strictObject({
  /** The family of the base model, which says what `backbone` holds. */
  kind: z.enum(["llamagen", "rar", "magvit2", "janus"]),
  backbone: z.custom<LlamaGenConfig | RarConfig | Magvit2ArConfig | JanusConfig>(
    (value) => typeof value === "object" && value !== null,
  ),
  /** windowSize 1 is the base model itself. */
  tensorar: z.strictObject({
    windowSize: z.int().positive(),
    depth: z.int().positive(),
    structure: z.enum(["maps", "gated"]),
  }),
  /** Noise rates β(j) that the modules were trained with; what draft policy `renoise` applies. */
  noiseRates: z.array(z.number()),
  /** Rows and columns of codes. */
  grid: z.tuple([z.int().positive(), z.int().positive()]),
  classes: z.array(z.string()),
  training: z.record(z.string(), z.unknown()).optional(),
});

export type ModelDescription = z.infer<typeof schema>;

export interface ModelFolder extends ModelDescription {
  /** float32: the base model's tensors by their original names, TensorAR's under `tensorar.`. */
  readonly tensors: Record<string, TensorData>;
}

/** The functions of a described model. */
export function modelOf({ kind, backbone, tensorar }: ModelDescription): TensorARModel<Condition> {
  return attachTensorAR(BACKBONES[kind](backbone as never) as Backbone<Condition>, tensorar);
}

/** By the family's name; each checks its configuration. */
const BACKBONES = {
  llamagen: (config: LlamaGenConfig) => llamaGen(config),
  rar: (config: RarConfig) => rar(config),
  magvit2: (config: Magvit2ArConfig) => magvit2Ar(config),
  janus: (config: JanusConfig) => janus(config),
};

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

/**
 * Reads a model folder: `config.json` and `model.safetensors`, whose tensors may be of any floating-point type.
 * @throws TensorARError naming the file and what is wrong with it: missing, damaged (see `checkFolder`), a configuration that
 *   is not valid, tensors that do not fit it
 */
export async function loadModel(dir: string): Promise<ModelFolder> {
  await settleFolder(dir);
  const path = join(dir, CONFIG);
  const what = "a model folder (config.json, model.safetensors)";
  const contents = await readJson(path, what);
  const parsed = schema.safeParse(contents);
  if (!parsed.success)
    throw new TensorARError(`${path}: not ${what}: ${describeIssues(parsed.error.issues, contents)}`);
  const description = parsed.data;
  const shapes = checkDescription(path, description);
  const file = await openSafetensors(join(dir, WEIGHTS));
  try {
    // The header alone says whether they fit; only then are they read.
    checkTensors(shapes, Object.fromEntries(file.names.map((name) => [name, file.info(name)])), file.path);
    const tensors: Record<string, TensorData> = {};
    for (const name of file.names) tensors[name] = castTensor(await file.read(name), "float32");
    await checkFolder(dir); // last, since the checks above say more exactly what is wrong
    return { ...description, tensors };
  } finally {
    await file.close();
  }
}

/**
 * Checks a description against the model that it describes.
 * @returns the shapes of the model's parameters
 * @throws TensorARError naming what does not fit
 */
function checkDescription(source: string, description: ModelDescription): ParameterShapes {
  const { kind, backbone: config, tensorar, noiseRates, grid, classes } = description;
  const { backbone, shapes } = inFile(source, () => modelOf(description));
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
  return shapes;
}

/** Classes by the family's name; undefined for models that are conditioned on something else. */
const CLASSES = {
  llamagen: (config: LlamaGenConfig) => (config.model_type === "c2i" ? config.num_classes : undefined),
  rar: (config: RarConfig) => config.condition_num_classes,
  magvit2: (config: Magvit2ArConfig) => config.class_num,
  janus: () => undefined,
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

/**
 * Writes a model folder; `dir` exists already. Each of its files is replaced as a whole, and a folder of which a crash left
 * only some is refused when it is loaded.
 * @param dtype of the file's tensors; float16 halves it, and loading turns it back into float32
 * @throws TensorARError where {@link loadModel} would refuse the result; nothing is written then
 */
export async function saveModel(
  dir: string,
  { tensors, ...description }: ModelFolder,
  dtype: FloatDType,
): Promise<void> {
  checkTensors(checkDescription("saveModel", description), tensors, "saveModel");
  const stored = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), stored);
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}
