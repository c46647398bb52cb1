import { join } from "node:path";
import { castTensor, type FloatDType, type TensorData } from "@tensorar/checkpoint";
import { openSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { checkFolder, readJson, settleFolder, writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import { checkTokenizerTensors } from "./check-tensors";
import { castAll, checkDescription, parseDescription, TOKENIZER_FOLDER, type TokenizerFolder } from "./description";
import type { TokenizerKind } from "./tokenizer";

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
  const description = parseDescription(await readJson(path, TOKENIZER_FOLDER), path, kinds);
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
  await writeFileAtomic(join(dir, CONFIG), `${JSON.stringify(description, null, 2)}\n`);
  await writeSafetensors(join(dir, WEIGHTS), castAll(tensors, dtype));
  await writeChecksums(dir, [CONFIG, WEIGHTS]);
}
