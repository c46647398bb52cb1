import { copyFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { quote, TensorARError } from "@tensorar/core";
import { type Backbone, type Condition, type PromptInput, promptOf } from "@tensorar/model";
import type { TextTokenizer } from "@tensorar/text";
import { openTextTokenizer, TOKENIZER_FILES } from "@tensorar/text/node";
import { encodingNotes } from "@tensorar/text-encoder";

/** Whether images are conditioned on tokenized text. */
export const takesPrompts = ({ prompts }: Pick<Backbone<Condition>, "prompts">): boolean => prompts !== undefined;

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

/** Turns descriptions of images into the text tokens that a model takes. */
export interface PromptTokenizer {
  encode(text: string): number[];
  /** The same, and how many tokens the whole text has, of which the first are read. */
  read(text: string): ReadPrompt;
  /** What to tell a user about descriptions that are not read as they stand: a line for each kind of loss. */
  notes(texts: readonly string[]): string[];
}

/** A description as a model reads it. */
export interface ReadPrompt {
  readonly tokens: number[];
  /** Tokens of the whole text. */
  readonly length: number;
}

/**
 * @param dir model folder with the files of its tokenizer
 * @param prompts how the model's backbone takes them
 * @throws TensorARError when they are missing or no tokenizer
 */
export const openPromptTokenizer = async (dir: string, prompts: PromptInput): Promise<PromptTokenizer> =>
  promptTokenizer(await openTextTokenizer(dir), prompts);

/** The same of a tokenizer that is open. */
export function promptTokenizer(tokenizer: TextTokenizer, prompts: PromptInput): PromptTokenizer {
  const { template, padId, maxTokens = Number.POSITIVE_INFINITY, ownVocabulary = false } = prompts;
  const read = (text: string): ReadPrompt => {
    const whole = promptOf(template, text);
    const tokens = tokenizer.encode(whole);
    const kept = tokens.length > maxTokens ? tokenizer.encode(whole, maxTokens) : tokens;
    // Nothing between the first and the last token: what training shows where a caption is dropped.
    return { length: tokens.length, tokens: kept.length === 2 ? [kept[0]!, padId, kept[1]!] : kept };
  };
  return {
    read,
    encode: (text) => read(text).tokens,
    notes(texts) {
      const nothing = read("").tokens.join();
      const all = texts.map(read);
      const losses = {
        empty: all.flatMap(({ tokens }, text) => (tokens.join() === nothing ? [text] : [])),
        truncated: all.flatMap(({ length }, text) => (length > maxTokens ? [{ text, tokens: length }] : [])),
        unknown: wordsWhere(texts, (word) => tokenizer.encode(word).includes(tokenizer.unknown ?? -1)),
      };
      return [...encodingNotes(losses, maxTokens), ...(ownVocabulary ? noteOfPieces(tokenizer, texts) : [])];
    },
  };
}

/** Words of texts that are alike in something, by text. */
function wordsWhere(texts: readonly string[], holds: (word: string) => boolean) {
  return texts.flatMap((each, text) => {
    const words = [...new Set(each.match(WORD) ?? [])].filter(holds);
    return words.length > 0 ? [{ text, words }] : [];
  });
}

const WORD = /[\p{L}\p{N}\p{M}]+|[\p{P}\p{S}]/gu;
const LISTED = 8;

/** Of a vocabulary that was made from the captions of training, words in several pieces are rare or new. */
function noteOfPieces({ encode, unknown }: TextTokenizer, texts: readonly string[]): string[] {
  const around = encode("").length;
  const inPieces = (word: string) => encode(word).length > around + 1 && !encode(word).includes(unknown ?? -1);
  const words = [...new Set(wordsWhere(texts, inPieces).flatMap((each) => each.words))];
  if (words.length === 0) return [];
  const more = words.length > LISTED ? `, and ${words.length - LISTED} more` : "";
  return [
    `read in pieces, since training had few or none of these words: ${words.slice(0, LISTED).map(quote).join(", ")}${more}`,
  ];
}
