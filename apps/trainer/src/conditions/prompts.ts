import { copyFile, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { type Backbone, type Condition, janusPrompt } from "@tensorar/model";
import { z } from "zod";
import { TensorARError } from "../errors";
import { readChecked } from "../folders/checked-json";

/** Files of a tokenizer of text, as Hugging Face repositories hold them. */
const FILES = ["tokenizer.json", "tokenizer_config.json"] as const;

/** Whether images are conditioned on tokenized text. */
export const takesPrompts = ({ condition }: Pick<Backbone<Condition>, "condition">): boolean => "prompt" in condition;

/** Copies a model's tokenizer of text from beside one of its files to another folder. */
export async function copyPromptTokenizer(from: string, to: string): Promise<void> {
  const folder = (await stat(from)).isDirectory() ? from : dirname(from);
  for (const file of FILES) {
    const source = join(folder, file);
    if (source === join(to, file)) continue;
    await copyFile(source, join(to, file)).catch((cause: Error) => {
      throw new TensorARError(`${source} can't be copied (${cause.message}); put the model's ${file} there`, { cause });
    });
  }
}

/** Turns descriptions of images into the text tokens that Janus-Pro takes. */
export type PromptTokenizer = (text: string) => number[];

/**
 * @param dir model folder with the files of its tokenizer
 * @throws TensorARError when they are missing or no tokenizer
 */
export async function openPromptTokenizer(dir: string): Promise<PromptTokenizer> {
  const [tokenizerFile, configFile] = FILES.map((file) => join(dir, file)) as [string, string];
  const what = "a tokenizer of text, as Hugging Face repositories hold it";
  const tokenizerJson = await readChecked(tokenizerFile, z.looseObject({ model: z.looseObject({}) }), what);
  const config = await readChecked(configFile, configSchema, what);
  const tokenizer = inFile(tokenizerFile, () => new Tokenizer(tokenizerJson, config));
  const first = beginning(tokenizer, config);
  return (text) => {
    const ids = tokenizer.encode(janusPrompt(text)).ids;
    return first === undefined || ids[0] === first ? ids : [first, ...ids];
  };
}

const configSchema = z.looseObject({
  add_bos_token: z.boolean().nullish(),
  bos_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

/** The token that transformers puts first although `tokenizer.json` need not say so. */
function beginning(tokenizer: Tokenizer, { add_bos_token, bos_token }: z.infer<typeof configSchema>) {
  if (add_bos_token !== true || !bos_token) return undefined;
  return tokenizer.token_to_id(typeof bos_token === "string" ? bos_token : bos_token.content);
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

/** Lines of a text file that are not empty. */
export async function readLines(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch((cause: Error) => {
    throw new TensorARError(`${file} can't be read: ${cause.message}`, { cause });
  });
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new TensorARError(`${file} holds no text; write one prompt a line`);
  return lines;
}
