import { parseJson, TensorARError } from "@tensorar/core";
import type { Caption } from "@tensorar/sampler";
import type { Folder } from "./folder";

/** What reads descriptions as texts. */
export interface TextReader {
  /** Text tokens of a text, which holds the description in the model's template. */
  tokens(text: string): Promise<ArrayLike<number>>;
  /** Features of a description by the model's text encoder. @param size that the model takes */
  caption(text: string, size: { readonly maxLength: number; readonly width: number }): Promise<Caption>;
  dispose(): Promise<void>;
}

/** Text tokens, by the files `tokenizer.json` and `tokenizer_config.json` of a model's folder. */
export function textTokenizer(
  folder: Folder,
  library: () => Promise<typeof import("@tensorar/text")>,
): (text: string) => Promise<ArrayLike<number>> {
  let opened: Promise<(text: string) => number[]> | undefined;
  const open = async () => {
    const { createTextTokenizer } = await library();
    const [tokenizer, config] = await Promise.all(
      ["tokenizer.json", "tokenizer_config.json"].map(async (file) =>
        parseJson(await folder.read(file).catch(explain), folder.nameOf(file)),
      ),
    );
    return createTextTokenizer(tokenizer, config).encode;
  };
  return async (text) => {
    opened ??= open();
    return (await opened)(text);
  };
}

function explain(cause: Error): never {
  throw new TensorARError(`${cause.message}; prompts that are texts need it: put it there, or give tokens as prompt`, {
    ...(cause instanceof TensorARError && { code: cause.code }),
    cause,
  });
}
