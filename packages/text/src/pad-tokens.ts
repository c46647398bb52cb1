import { TensorARError } from "@tensorar/core";
import type { TextTokenizer } from "./tokenizer";

/** Tokens of several texts, padded on the right to one length, as T5 takes them. */
export interface TokenBatch {
  /** [B, T] row-major */
  readonly ids: Int32Array;
  /** [B, T]: 1, or 0 where a token is padding. */
  readonly mask: Int32Array;
  /** T */
  readonly tokens: number;
  /** [B]: tokens of every text before it was cut. */
  readonly lengths: readonly number[];
  /** Indices of texts that were longer than T and lost tokens at their end. */
  readonly truncated: readonly number[];
}

/**
 * Tokens of texts, cut or padded to `maxLength`, as transformers does with `padding="max_length", truncation=True`.
 *
 * @throws TensorARError when the tokenizer has no token of padding
 */
export function padTokens(tokenizer: TextTokenizer, texts: readonly string[], maxLength: number): TokenBatch {
  const { pad } = tokenizer;
  if (pad === undefined)
    throw new TensorARError("padTokens: this tokenizer names no token of padding; add pad_token to its configuration");
  const ids = new Int32Array(texts.length * maxLength).fill(pad);
  const mask = new Int32Array(ids.length);
  const lengths: number[] = [];
  const truncated: number[] = [];
  for (const [row, text] of texts.entries()) {
    const whole = tokenizer.encode(text);
    const kept = whole.length > maxLength ? tokenizer.encode(text, maxLength) : whole;
    lengths.push(whole.length);
    if (kept !== whole) truncated.push(row);
    ids.set(kept, row * maxLength);
    mask.fill(1, row * maxLength, row * maxLength + kept.length);
  }
  return { ids, mask, tokens: maxLength, lengths, truncated };
}
