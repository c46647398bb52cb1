import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { TensorARError } from "@tensorar/core";
import { z } from "zod";
import { readChecked } from "../folders/checked-json";

/** Files of a tokenizer of text, as Hugging Face repositories hold them. */
export const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"] as const;

export interface TextTokenizer {
  /** Tokens of a text, with those that begin and end it. */
  encode(text: string): number[];
  /** The token that fills up short texts; undefined where the files name none. */
  readonly pad: number | undefined;
}

const token = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const configSchema = z.looseObject({ add_bos_token: z.boolean().nullish(), bos_token: token, pad_token: token });

/**
 * @param dir folder with the files of the tokenizer
 * @throws TensorARError when they are missing or no tokenizer
 */
export async function openTextTokenizer(dir: string): Promise<TextTokenizer> {
  const [tokenizerFile, configFile] = TOKENIZER_FILES.map((file) => join(dir, file)) as [string, string];
  const what = "a tokenizer of text, as Hugging Face repositories hold it";
  const tokenizerJson = await readChecked(tokenizerFile, z.looseObject({ model: z.looseObject({}) }), what);
  const config = await readChecked(configFile, configSchema, what);
  const tokenizer = inFile(tokenizerFile, () => new Tokenizer(tokenizerJson, config));
  const idOf = (named: z.infer<typeof token>) =>
    named ? tokenizer.token_to_id(typeof named === "string" ? named : named.content) : undefined;
  // The token that transformers puts first although `tokenizer.json` need not say so.
  const first = config.add_bos_token === true ? idOf(config.bos_token) : undefined;
  return {
    pad: idOf(config.pad_token),
    encode(text) {
      const { ids } = tokenizer.encode(text);
      return first === undefined || ids[0] === first ? ids : [first, ...ids];
    },
  };
}

function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new TensorARError(`${path}: ${(cause as Error).message}; take the file of the original repository`, {
      cause,
    });
  }
}
