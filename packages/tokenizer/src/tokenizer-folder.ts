import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { describeIssues, TensorARError } from "@tensorar/core";
import { readJson, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { checkTokenizerTensors } from "./check-tensors";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind, type TokenizerSpec } from "./tokenizer";

const schema = z.strictObject({
  kind: z.enum(TOKENIZER_KINDS),
  /** Height and width of its images in pixels. */
  imageSize: z.int().positive(),
  config: z.looseObject({}),
  /** The settings that trained it, for the reader. */
  training: z.record(z.string(), z.unknown()).optional(),
});

/** What `config.json` of a tokenizer folder holds: which tokenizer it is, and its configuration. */
export type TokenizerDescription<K extends TokenizerKind = "vq"> = TokenizerSpec<K> & {
  /** Height and width of its images in pixels. */
  readonly imageSize: number;
  /** The settings that trained it, for the reader. */
  readonly training?: Record<string, unknown> | undefined;
};

/** A tokenizer folder in memory. */
export type TokenizerFolder<K extends TokenizerKind = "vq"> = TokenizerDescription<K> & {
  /** float32, keyed by the original's names. */
  readonly tensors: Record<string, TensorData>;
};

const castAll = (tensors: Record<string, TensorData>, dtype: FloatDType): Record<string, TensorData> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));

/**
 * Reads a tokenizer folder: `config.json` and `model.safetensors`, whose tensors may be of any floating-point type.
 * @param kinds that the caller takes: LlamaGen's VQ alone, unless said otherwise; `TOKENIZER_KINDS` are all
 * @throws TensorARError naming the file and what is wrong with it: missing, of another kind, a configuration that is
 *   not valid or whose images do not divide into codes, tensors that do not fit the configuration
 */
export async function loadTokenizer<const K extends TokenizerKind = "vq">(
  dir: string,
  kinds: readonly K[] = ["vq" as K],
): Promise<TokenizerFolder<K>> {
  const path = join(dir, "config.json");
  const what = "a tokenizer folder (config.json, model.safetensors)";
  const contents = await readJson(path, what);
  const parsed = schema.safeParse(contents);
  if (!parsed.success)
    throw new TensorARError(`${path}: not ${what}: ${describeIssues(parsed.error.issues, contents)}`);
  if (!kinds.some((kind) => kind === parsed.data.kind)) {
    throw new TensorARError(
      `${path}: a tokenizer of kind "${parsed.data.kind}"; only ${kinds.join(", ")} will do here`,
    );
  }
  const description = parsed.data as unknown as TokenizerDescription<TokenizerKind>; // its config is checked next
  checkDescription(path, description);
  const tensors = castAll(await readSafetensors(join(dir, "model.safetensors")), "float32");
  checkTokenizerTensors(description, tensors, join(dir, "model.safetensors"));
  return { ...description, tensors } as unknown as TokenizerFolder<K>; // one of the kinds, as checked above
}

/**
 * Writes a tokenizer folder; `dir` exists already. Each of its files is replaced as a whole.
 * @param dtype of the file's tensors; float16 halves it, and loading turns it back into float32
 * @throws TensorARError where {@link loadTokenizer} would refuse the result; nothing is written then
 */
export async function saveTokenizer(
  dir: string,
  { tensors, ...description }: TokenizerFolder<TokenizerKind>,
  dtype: FloatDType,
): Promise<void> {
  checkDescription("saveTokenizer", description);
  checkTokenizerTensors(description, tensors, "saveTokenizer");
  await writeFileAtomic(join(dir, "config.json"), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, "model.safetensors"), castAll(tensors, dtype));
}

function checkDescription(source: string, description: TokenizerDescription<TokenizerKind>): void {
  try {
    createTokenizer(description).gridOf(description.imageSize); // checks the configuration as well
  } catch (error) {
    if (!(error instanceof TensorARError)) throw error;
    throw new TensorARError(`${source}: ${error.message}`, { cause: error });
  }
}
