import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { readJson, readSafetensors, writeFileAtomic, writeSafetensors } from "@tensorar/checkpoint/node";
import { z } from "zod";
import { attachTensorAR, type TensorARModel } from "./attach";
import { checkTensors } from "./check-tensors";
import { TensorARError } from "./errors";
import { type LlamaGenConfig, llamaGen } from "./llamagen";
import { rar } from "./rar";
import type { RarConfig } from "./rar-config";

const schema = z.strictObject({
  /** The family of the base model, which says what `backbone` holds. */
  kind: z.enum(["llamagen", "rar"]),
  backbone: z.custom<LlamaGenConfig | RarConfig>((value) => typeof value === "object" && value !== null),
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
export function modelOf({ kind, backbone, tensorar }: ModelDescription): TensorARModel {
  const base = kind === "rar" ? rar(backbone as RarConfig) : llamaGen(backbone as LlamaGenConfig); // they check it
  return attachTensorAR(base, tensorar);
}

export async function loadModel(dir: string): Promise<ModelFolder> {
  const path = join(dir, "config.json");
  const what = "a model folder (config.json, model.safetensors)";
  const parsed = schema.safeParse(await readJson(path, what));
  if (!parsed.success) throw new TensorARError(`${path}: not ${what}:\n${z.prettifyError(parsed.error)}`);
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
