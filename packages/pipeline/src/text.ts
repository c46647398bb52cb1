import { parseJson, TensorARError } from "@tensorar/core";
import type { Caption } from "@tensorar/sampler";
import type { Folder } from "./folder";

/** What reads descriptions as texts. */
export interface TextReader {
  /** Text tokens of a description. */
  tokens(text: string): Promise<ArrayLike<number>>;
  /** Features of a description by the model's text encoder. @param size that the model takes */
  caption(text: string, size: { readonly maxLength: number; readonly width: number }): Promise<Caption>;
  dispose(): Promise<void>;
}

/** What Janus-Pro reads before it makes an image; as `janusPrompt` of `@tensorar/model`, which needs TensorFlow.js. */
const conversation = (description: string): string => `<|User|>: ${description}\n\n<|Assistant|>:<begin_of_image>`;

/** Text tokens of descriptions, by the files `tokenizer.json` and `tokenizer_config.json` of a model's folder. */
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
    const { encode } = createTextTokenizer(tokenizer, config);
    return (text: string) => encode(conversation(text));
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
