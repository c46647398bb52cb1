import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { describeIssues, TensorARError } from "@tensorar/core";
import { checkFolder, readJson, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";
import { checkTokenizerTensors } from "./check-tensors";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind, type TokenizerSpec } from "./tokenizer";

const schema = z.strictObject({
  kind: z.enum(TOKENIZER_KINDS),
  /** Height and width of its images in pixels. */
  imageSize: z
    .int()
    .positive()
    .max(2 ** 16),
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

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

/**
 * Reads a tokenizer folder: `config.json` and `model.safetensors`, whose tensors may be of any floating-point type.
 * @param kinds that the caller takes: LlamaGen's VQ alone, unless said otherwise; `TOKENIZER_KINDS` are all
 * @throws TensorARError naming the file and what is wrong with it: missing, damaged (see `checkFolder`), of another kind, a configuration that is
 *   not valid or whose images do not divide into codes, tensors that do not fit the configuration
 */
export async function loadTokenizer<const K extends TokenizerKind = "vq">(
  dir: string,
  kinds: readonly K[] = ["vq" as K],
): Promise<TokenizerFolder<K>> {
  await settleFolder(dir);
  const path = join(dir, CONFIG);
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
  const file = await openSafetensors(join(dir, WEIGHTS));
  try {
    // The header alone says whether they fit; only then are they read.
    checkTokenizerTensors(
      description,
      Object.fromEntries(file.names.map((name) => [name, file.info(name)])),
      file.path,
    );
    const tensors: Record<string, TensorData> = {};
    for (const name of file.names) tensors[name] = castTensor(await file.read(name), "float32");
    await checkFolder(dir); // last, since the checks above say more exactly what is wrong
    return { ...description, tensors } as unknown as TokenizerFolder<K>; // one of the kinds, as checked above
  } finally {
    await file.close();
  }
}

/**
 * Writes a tokenizer folder; `dir` exists already. Each of its files is replaced as a whole, and a folder of which a crash
 * left only some is refused when it is loaded.
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
  const stored = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, castTensor(tensor, dtype)]));
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), stored);
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}

function checkDescription(source: string, description: TokenizerDescription<TokenizerKind>): void {
  try {
    createTokenizer(description).gridOf(description.imageSize); // checks the configuration as well
  } catch (error) {
    if (!(error instanceof TensorARError)) throw error;
    throw new TensorARError(`${source}: ${error.message}`, { cause: error });
  }
}
