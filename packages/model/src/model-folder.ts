import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { describeIssues, TensorARError } from "@tensorar/core";
import { readJson, writeFileAtomic } from "@tensorar/core/node";
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

export async function loadModel(dir: string): Promise<ModelFolder> {
  const path = join(dir, "config.json");
  const what = "a model folder (config.json, model.safetensors)";
  const contents = await readJson(path, what);
  const parsed = schema.safeParse(contents);
  if (!parsed.success)
    throw new TensorARError(`${path}: not ${what}: ${describeIssues(parsed.error.issues, contents)}`);
  const description = parsed.data;
  const { shapes } = inFile(path, () => modelOf(description));
  const file = join(dir, "model.safetensors");
  const stored = await readSafetensors(file);
  const tensors = Object.fromEntries(
    Object.entries(stored).map(([name, tensor]) => [name, castTensor(tensor, "float32")]),
  );
  checkTensors(shapes, tensors, file);
  return { ...description, tensors };
}

/** Errors about the configuration name the file that it is in. */
function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${path}: ${cause.message}`, { cause });
  }
}

/** `dtype` float16 halves the file; loading turns it back into float32. */
export async function saveModel(
  dir: string,
  { tensors, ...description }: ModelFolder,
  dtype: FloatDType,
): Promise<void> {
  const stored = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));
  await writeFileAtomic(join(dir, "config.json"), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, "model.safetensors"), stored);
}
