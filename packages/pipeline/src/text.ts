import { parseJson, quote, TensorARError } from "@tensorar/core";
import type { Caption } from "@tensorar/sampler";
import type { TextTokenizer } from "@tensorar/text";
import type { Folder } from "./folder";
import type { Conditions } from "./opened";

/** `@tensorar/text`, as far as it is needed. */
export type TextLibrary = Pick<typeof import("@tensorar/text"), "createTextTokenizer">;

/** What a text became, and what of it is not read as it stands. */
export interface ReadText<T> {
  readonly condition: T;
  readonly notes: readonly string[];
}

/** How a model takes prompts. */
export type PromptForm = Extract<Conditions, { kind: "prompt" }>;

/** What reads descriptions as texts. */
export interface TextReader {
  /** Text tokens of a description. */
  tokens(prompt: string, form: PromptForm): Promise<ReadText<readonly number[]>>;
  /** Features of a description by the model's text encoder. @param size that the model takes */
  caption(text: string, size: { readonly maxLength: number; readonly width: number }): Promise<ReadText<Caption>>;
  dispose(): Promise<void>;
}

/** Text tokens, by the files `tokenizer.json` and `tokenizer_config.json` of a model's folder. */
export function textTokenizer(folder: Folder, library: () => Promise<TextLibrary>): TextReader["tokens"] {
  let opened: Promise<TextTokenizer> | undefined;
  const open = async () => {
    const { createTextTokenizer } = await library();
    const [tokenizer, config] = await Promise.all(
      ["tokenizer.json", "tokenizer_config.json"].map(async (file) =>
        parseJson(await folder.read(file).catch(explain), folder.nameOf(file)),
      ),
    );
    return createTextTokenizer(tokenizer, config);
  };
  return async (prompt, form) => {
    opened ??= open();
    const tokenizer = await opened.catch((error) => {
      opened = undefined; // what was missing may be there next time
      throw error;
    });
    return readPrompt(tokenizer, prompt, form);
  };
}

/** As training reads captions: the first tokens of long ones; padding for those of which nothing is left. */
function readPrompt(
  tokenizer: TextTokenizer,
  prompt: string,
  { template, padId, maxTokens = Number.POSITIVE_INFINITY }: PromptForm,
): ReadText<readonly number[]> {
  const { encode, unknown } = tokenizer;
  const text = template.replace("{}", () => prompt);
  const whole = encode(text);
  const read = whole.length > maxTokens ? encode(text, maxTokens) : whole;
  const [begin, end] = read;
  const notes: string[] = [];
  if (whole.length > maxTokens) notes.push(`the prompt is cut to the first ${maxTokens} of its ${whole.length} tokens`);
  if (prompt.trim() === "") notes.push("the prompt has no words, which makes images unconditional");
  if (unknown !== undefined && read.includes(unknown)) {
    const words = prompt.split(/\s+/u).filter((word) => word !== "" && encode(word).includes(unknown));
    notes.push(`the tokenizer does not know all of ${words.map(quote).join(", ")}`);
  }
  return { condition: read.length === 2 ? [begin!, padId, end!] : read, notes };
}

function explain(cause: Error): never {
  throw new TensorARError(`${cause.message}; prompts that are texts need it: put it there, or give tokens as prompt`, {
    ...(cause instanceof TensorARError && { code: cause.code }),
    cause,
  });
}
