import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { readJson, readSafetensors, writeFileAtomic, writeSafetensors } from "@tensorar/checkpoint/node";
import { z } from "zod";
import { checkVqTensors } from "./check-tensors";
import { gridOf, type VqConfig } from "./config";
import { TensorARError } from "./errors";

const schema = z.strictObject({
  kind: z.literal("vq"),
  /** Height and width of its images in pixels. */
  imageSize: z.int().positive(),
  config: z.custom<VqConfig>((value) => typeof value === "object" && value !== null),
  /** The settings that trained it, for the reader. */
  training: z.record(z.string(), z.unknown()).optional(),
});

/** What `config.json` of a tokenizer folder holds. */
export type TokenizerDescription = z.infer<typeof schema>;

/** A tokenizer folder in memory. */
export interface TokenizerFolder extends TokenizerDescription {
  /** float32, keyed by the original's names. */
  readonly tensors: Record<string, TensorData>;
}

const castAll = (tensors: Record<string, TensorData>, dtype: FloatDType): Record<string, TensorData> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));

/**
 * Reads a tokenizer folder: `config.json` and `model.safetensors`, whose tensors may be of any floating-point type.
 * @throws TensorARError naming the file and what is wrong with it: missing, not of this kind, a configuration that is
 *   not valid or whose images do not divide into codes, tensors that do not fit the configuration
 */
export async function loadTokenizer(dir: string): Promise<TokenizerFolder> {
  const path = join(dir, "config.json");
  const what = "a tokenizer folder (config.json, model.safetensors)";
  const parsed = schema.safeParse(await readJson(path, what));
  if (!parsed.success) throw new TensorARError(`${path}: not ${what}:\n${z.prettifyError(parsed.error)}`);
  const description = parsed.data;
  checkDescription(path, description);
  const tensors = castAll(await readSafetensors(join(dir, "model.safetensors")), "float32");
  checkVqTensors(description.config, tensors, join(dir, "model.safetensors"));
  return { ...description, tensors };
}

/**
 * Writes a tokenizer folder; `dir` exists already. Each of its files is replaced as a whole.
 * @param dtype of the file's tensors; float16 halves it, and loading turns it back into float32
 * @throws TensorARError where {@link loadTokenizer} would refuse the result; nothing is written then
 */
export async function saveTokenizer(
  dir: string,
  { tensors, ...description }: TokenizerFolder,
  dtype: FloatDType,
): Promise<void> {
  checkDescription("saveTokenizer", description);
  checkVqTensors(description.config, tensors, "saveTokenizer");
  await writeFileAtomic(join(dir, "config.json"), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, "model.safetensors"), castAll(tensors, dtype));
}

function checkDescription(source: string, { config, imageSize }: TokenizerDescription): void {
  try {
    gridOf(config, imageSize); // checks the configuration as well
  } catch (error) {
    if (!(error instanceof TensorARError)) throw error;
    throw new TensorARError(`${source}: ${error.message}`, { cause: error });
  }
}
