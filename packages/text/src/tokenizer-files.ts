import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { readJson } from "@tensorar/core/node";
import { createTextTokenizer, type TextTokenizer } from "./tokenizer";

/** Files of a tokenizer of text, as Hugging Face repositories hold them. */
export const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"] as const;

/**
 * @param dir folder with {@link TOKENIZER_FILES}
 * @throws TensorARError when they are missing or no tokenizer
 */
export async function openTextTokenizer(dir: string): Promise<TextTokenizer> {
  const what = "a tokenizer of text, as Hugging Face repositories hold it";
  const [tokenizerJson, config] = await Promise.all(TOKENIZER_FILES.map((file) => readJson(join(dir, file), what)));
  try {
    return createTextTokenizer(tokenizerJson, config);
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    throw new TensorARError(`${dir}: ${cause.message}`, { cause });
  }
}
