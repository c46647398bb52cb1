import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { readJson, readSafetensors, writeFileAtomic, writeSafetensors } from "@tensorar/checkpoint/node";
import { z } from "zod";
import { checkVqTensors } from "./check-tensors";
import type { VqConfig } from "./config";
import { TensorARError } from "./errors";

const schema = z.strictObject({
  kind: z.literal("vq"),
  imageSize: z.int().positive(),
  config: z.custom<VqConfig>((value) => typeof value === "object" && value !== null),
  /** The settings that trained it, for the reader. */
  training: z.record(z.string(), z.unknown()).optional(),
});

export type TokenizerDescription = z.infer<typeof schema>;

export interface TokenizerFolder extends TokenizerDescription {
  /** float32, keyed by the original's names. */
  readonly tensors: Record<string, TensorData>;
}

const castAll = (tensors: Record<string, TensorData>, dtype: FloatDType): Record<string, TensorData> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));

export async function loadTokenizer(dir: string): Promise<TokenizerFolder> {
  const path = join(dir, "config.json");
  const what = "a tokenizer folder (config.json, model.safetensors)";
  const parsed = schema.safeParse(await readJson(path, what));
  if (!parsed.success) throw new TensorARError(`${path}: not ${what}:\n${z.prettifyError(parsed.error)}`);
  const description = parsed.data;
  const tensors = castAll(await readSafetensors(join(dir, "model.safetensors")), "float32");
  checkVqTensors(description.config, tensors, join(dir, "model.safetensors"));
  return { ...description, tensors };
}

/** `dtype` float16 halves the file; loading turns it back into float32. */
export async function saveTokenizer(
  dir: string,
  { tensors, ...description }: TokenizerFolder,
  dtype: FloatDType,
): Promise<void> {
  await writeFileAtomic(join(dir, "config.json"), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, "model.safetensors"), castAll(tensors, dtype));
}
