import { Tokenizer } from "@huggingface/tokenizers";
import { describeIssues, quote, TensorARError } from "@tensorar/core";
import { z } from "zod";

/** Texts to token ids, as a model was trained with. */
export interface TextTokenizer {
  /**
   * Tokens of a text, with those that begin and end it.
   * @param maxLength longest result; a longer text loses tokens at its end, not those that end it. Default: any length
   */
  encode(text: string, maxLength?: number): number[];
  /** The token that fills up short texts; undefined where the configuration names none. */
  readonly pad: number | undefined;
  /** The token that stands for what the tokenizer does not know; undefined where neither file names one. */
  readonly unknown: number | undefined;
}

const token = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const tokenizerSchema = z.looseObject({ model: z.looseObject({ unk_token: z.string().nullish() }) });
const configSchema = z.looseObject({
  add_bos_token: z.boolean().nullish(),
  bos_token: token,
  pad_token: token,
  unk_token: token,
});

/**
 * A tokenizer as Hugging Face repositories hold it.
 *
 * @param tokenizerJson contents of `tokenizer.json`
 * @param config contents of `tokenizer_config.json`
 * @throws TensorARError when they describe no tokenizer
 */
export function createTextTokenizer(tokenizerJson: unknown, config: unknown): TextTokenizer {
  const { add_bos_token, bos_token, pad_token, unk_token } = checked(configSchema, config, "tokenizer_config.json");
  const contents = checked(tokenizerSchema, tokenizerJson, "tokenizer.json");
  // The library takes the unknown token of word-level models from the configuration alone, although their file names it.
  const unknown = unk_token ?? contents.model.unk_token;
  const tokenizer = guarded(() => new Tokenizer(contents, { ...(config as object), unk_token: unknown }));
  const idOf = (named: z.infer<typeof token>) =>
    named ? tokenizer.token_to_id(typeof named === "string" ? named : named.content) : undefined;
  // The token that transformers puts first although `tokenizer.json` need not say so.
  const first = add_bos_token === true ? idOf(bos_token) : undefined;
  const tokens = (text: string, special: boolean): number[] => {
    const { ids } = guarded(() => tokenizer.encode(text, { add_special_tokens: special }));
    const missing = ids.findIndex((id) => !Number.isInteger(id)); // of a token, or its stand-in, that the vocabulary lacks
    if (missing >= 0)
      throw new TensorARError(`tokenizer.json: token ${missing} of ${quote(text)} has no number in it; ${REMEDY}`);
    return first === undefined || !special || ids[0] === first ? ids : [first, ...ids];
  };
  return {
    pad: idOf(pad_token),
    unknown: idOf(unknown),
    encode(text, maxLength = Number.POSITIVE_INFINITY) {
      const ids = tokens(text, true);
      if (ids.length <= maxLength) return ids;
      const inner = tokens(text, false);
      const around = ids.length - inner.length;
      if (maxLength < around)
        throw new TensorARError(`encode: maxLength = ${maxLength}; ${around} tokens begin and end every text`);
      const leading = ids.findIndex((_, at) => inner.every((id, i) => ids[at + i] === id));
      return [...ids.slice(0, leading), ...inner.slice(0, maxLength - around), ...ids.slice(leading + inner.length)];
    },
  };
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, name: string): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TensorARError(`${name}: not of a tokenizer (${describeIssues(result.error.issues, value)}); ${REMEDY}`);
}

/** The library checks little of a file: what is wrong with it shows when it is used, as an error of any kind and length. */
function guarded<T>(use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const { message } = cause as Error;
    const own = cause instanceof TypeError || cause instanceof RangeError || message.includes("[object ");
    const reason = own ? "" : ` (${message.slice(0, LONGEST_REASON)})`;
    throw new TensorARError(`tokenizer.json: it describes no tokenizer that works${reason}; ${REMEDY}`, { cause });
  }
}

const LONGEST_REASON = 200;
const REMEDY = "take the file of the original repository";
