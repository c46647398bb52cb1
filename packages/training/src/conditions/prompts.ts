import { copyFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { type Backbone, type Condition, janusPrompt } from "@tensorar/model";
import { openTextTokenizer, TOKENIZER_FILES } from "@tensorar/text/node";

/** Whether images are conditioned on tokenized text. */
export const takesPrompts = ({ condition }: Pick<Backbone<Condition>, "condition">): boolean => "prompt" in condition;

/** Copies a model's tokenizer of text from beside one of its files to another folder. */
export async function copyPromptTokenizer(from: string, to: string): Promise<void> {
  const folder = (await stat(from)).isDirectory() ? from : dirname(from);
  for (const file of TOKENIZER_FILES) {
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
  const tokenizer = await openTextTokenizer(dir);
  return (text) => tokenizer.encode(janusPrompt(text));
}
