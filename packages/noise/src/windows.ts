import { requireOptions, TensorARError } from "@tensorar/core";
import { expectInteger, expectLength } from "./checks";

/** Marks the entries of a window that lie past the last token. */
export const PAD = -1;

/** Marks entries that say nothing of their token: a model with blanks has a learned vector for them. */
export const BLANK = -2;

/** Sizes of {@link slideWindows}. */
export interface SlideOptions {
  /** Sequences in `codes`, B. */
  readonly batch: number;
  /** Tokens of a sequence, T. */
  readonly tokens: number;
  /** Tokens of a window, k, from 1 to T. */
  readonly windowSize: number;
  /** Windows of a sequence, from 0 to T; default T. The inputs of training are the first T - 1. */
  readonly count?: number;
}

/**
 * All tensors of consecutive tokens: window `i` is `(x[i], …, x[i+k-1])`, with {@link PAD} past the last token.
 *
 * @param codes `[B, T]`, none negative
 * @returns `[B, count, k]`
 * @throws TensorARError when the sizes do not fit `codes`, `windowSize` exceeds `tokens`, or a code is negative
 */
export function slideWindows(codes: Int32Array, options: SlideOptions): Int32Array {
  requireOptions("slideWindows", options, ["batch", "tokens", "windowSize"]);
  const { batch, tokens, windowSize, count = tokens } = options;
  expectInteger("slideWindows", "batch", batch, 0, 2 ** 31 - 1);
  expectInteger("slideWindows", "tokens", tokens, 1, 2 ** 31 - 1);
  expectInteger("slideWindows", "count", count, 0, tokens);
  if (windowSize > tokens) {
    throw new TensorARError(
      `slideWindows: windowSize = ${windowSize} exceeds the ${tokens} tokens of a sequence; pass at most ${tokens}`,
    );
  }
  expectInteger("slideWindows", "windowSize", windowSize, 1, tokens);
  expectLength("slideWindows", "codes", codes.length, { batch, tokens });
  const negative = codes.findIndex((code) => code < 0);
  if (negative >= 0) {
    throw new TensorARError(`slideWindows: codes[${negative}] = ${codes[negative]} is negative; codes start at 0`);
  }

  const windows = new Int32Array(batch * count * windowSize).fill(PAD);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < count; i++) {
      const first = b * tokens + i;
      const last = b * tokens + Math.min(i + windowSize, tokens);
      windows.set(codes.subarray(first, last), (b * count + i) * windowSize);
    }
  }
  return windows;
}
