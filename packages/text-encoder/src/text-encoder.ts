import { ShapeError, TensorARError, type TensorData } from "@tensorar/core";
import { cleanCaption, padTokens, type TextTokenizer, type TokenBatch } from "@tensorar/text";
import type { TextEncoderDescription } from "./description";

// B texts · T positions · t tokens of the longest text of a batch · D width

/** What of several texts is not read as it stands. */
export interface TextLosses {
  /** Texts of which nothing is left, such as "": models take them for no condition. */
  readonly empty: readonly number[];
  /** Texts that lost their end. */
  readonly truncated: readonly TruncatedText[];
  /** Texts with words that the tokenizer does not know, which it maps to its token for unknown ones. */
  readonly unknown: readonly UnknownWords[];
}

/** Features of several texts. */
export interface EncodedTexts extends TextLosses {
  /** [B, T, D] row-major; 0 where a position is padding. */
  readonly features: Float32Array;
  /** [B, T]: 1, or 0 where a position is padding. */
  readonly mask: Float32Array;
}

/** A text that is longer than an encoder reads. */
export interface TruncatedText {
  /** Index of the text. */
  readonly text: number;
  /** All that it has, of which the first T are read. */
  readonly tokens: number;
}

/** Words that a tokenizer does not know. */
export interface UnknownWords {
  /** Index of the text. */
  readonly text: number;
  readonly words: readonly string[];
}

/** Prompts or captions to features, as an image model takes them. */
export interface TextEncoder {
  /** D */
  readonly width: number;
  /** T */
  readonly maxLength: number;
  /** Where features of short texts are filled up. */
  readonly padding: "left" | "right";
  /**
   * Features of any number of texts; only {@link TEXTS_AT_ONCE} pass through the network together.
   * @param signal stops between two such batches
   * @throws the reason of `signal` when it aborts
   */
  encode(texts: readonly string[], signal?: AbortSignal): Promise<EncodedTexts>;
  /** Frees what runs it. */
  dispose(): Promise<void>;
}

/** What runs an encoder: tokens [b, t] to features [b, t, D]. */
export interface TokenRunner {
  /** D */
  readonly width: number;
  run(ids: TensorData<"int32">, mask: TensorData<"int32">): Promise<Pick<TensorData, "shape" | "data">>;
  dispose(): Promise<void>;
}

/** Texts that pass through a network together: more are no faster on processors. */
export const TEXTS_AT_ONCE = 8;

/** A text encoder from its parts, wherever they come from. */
export function createTextEncoder(
  { maxLength, cleanCaptions, padding }: Pick<TextEncoderDescription, "maxLength" | "cleanCaptions" | "padding">,
  tokenizer: TextTokenizer,
  runner: TokenRunner,
): TextEncoder {
  const { width } = runner;
  return {
    width,
    maxLength,
    padding,
    dispose: () => runner.dispose(),
    async encode(texts, signal) {
      const read = cleanCaptions ? texts.map(cleanCaption) : texts;
      const tokens = padTokens(tokenizer, read, maxLength);
      const features = new Float32Array(texts.length * maxLength * width);
      const mask = new Float32Array(texts.length * maxLength);
      for (const batch of batchesByLength(lengthsOf(tokens))) {
        signal?.throwIfAborted();
        const { ids, mask: own, length } = cut(tokens, batch);
        const made = await runner.run(ids, own);
        expectFeatures(made, [batch.length, length, width]);
        for (const [i, text] of batch.entries()) {
          const valid = own.data.subarray(i * length, (i + 1) * length).reduce((sum, each) => sum + each, 0);
          const first = text * maxLength + (padding === "left" ? maxLength - valid : 0);
          const from = i * length * width;
          features.set((made.data as Float32Array).subarray(from, from + valid * width), first * width);
          mask.fill(1, first, first + valid);
        }
      }
      return { features, mask, ...lossesOf(tokenizer, read, tokens) };
    },
  };
}

/** What of the texts is not read as it stands. */
function lossesOf(tokenizer: TextTokenizer, texts: readonly string[], tokens: TokenBatch): TextLosses {
  const { unknown } = tokenizer;
  const nothing = tokenizer.encode("").join();
  const where = (holds: (text: number) => boolean) => texts.flatMap((_, text) => (holds(text) ? [text] : []));
  const hasUnknown = unknown === undefined ? [] : where((text) => rowOf(tokens, text).includes(unknown));
  return {
    empty: where((text) => rowOf(tokens, text).join() === nothing),
    truncated: tokens.truncated.map((text) => ({ text, tokens: tokens.lengths[text]! })),
    unknown: hasUnknown.map((text) => ({ text, words: unknownWords(tokenizer, texts[text]!) })),
  };
}

/** Tokens of every text that are read. */
const lengthsOf = ({ lengths, tokens }: TokenBatch): number[] => lengths.map((length) => Math.min(length, tokens));

/** Tokens of a text that are read. */
const rowOf = ({ ids, lengths, tokens }: TokenBatch, text: number): Int32Array =>
  ids.subarray(text * tokens, text * tokens + Math.min(lengths[text]!, tokens));

function unknownWords({ encode, unknown }: TextTokenizer, text: string): string[] {
  const words = new Set(text.split(/\s+/u).filter((word) => word !== ""));
  return [...words].filter((word) => encode(word).includes(unknown!));
}

/** Indices of texts that pass through together: those of like length, so that little padding is computed. */
function* batchesByLength(lengths: readonly number[]): Generator<readonly number[]> {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  for (let first = 0; first < order.length; first += TEXTS_AT_ONCE) yield order.slice(first, first + TEXTS_AT_ONCE);
}

/** Tokens of some texts, padded to the longest of them. */
function cut({ ids, mask, lengths, tokens }: TokenBatch, batch: readonly number[]) {
  const length = Math.max(...batch.map((text) => Math.min(lengths[text]!, tokens)));
  const chosen = (all: Int32Array): TensorData<"int32"> => {
    const data = new Int32Array(batch.length * length);
    for (const [i, text] of batch.entries()) data.set(all.subarray(text * tokens, text * tokens + length), i * length);
    return { dtype: "int32", shape: [batch.length, length], data };
  };
  return { ids: chosen(ids), mask: chosen(mask), length };
}

function expectFeatures({ shape, data }: Pick<TensorData, "shape" | "data">, expected: readonly number[]): void {
  if (!(data instanceof Float32Array)) throw new TensorARError("the text encoder returns other numbers than float32");
  if (shape.join() !== expected.join())
    throw new ShapeError(
      `the text encoder returns [${shape.join(", ")}], not [${expected.join(", ")}]; correct its width`,
    );
}
