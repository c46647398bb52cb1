import { requireOptions, TensorARError } from "@tensorar/core";
import { MAX_UINT32, streamAddress } from "./address";
import { expectInteger, expectLength } from "./checks";
import { philoxInto } from "./philox";
import { checkRates } from "./schedule";
import { scaleWord } from "./stream";
import { PAD } from "./windows";

/** Sizes, rates and random address of {@link corruptWindows}. */
export interface CorruptOptions {
  /** Samples, B. */
  readonly batch: number;
  /** Windows of a sample. */
  readonly count: number;
  /** Entries of a window, k. */
  readonly windowSize: number;
  /** Codes, V. */
  readonly vocabSize: number;
  /** β(0) … β(k-1), from `noiseRates`. */
  readonly rates: ArrayLike<number>;
  /** Seed of the run, an integer in `[0, 2^53)`. */
  readonly seed: number;
  /** Step of the run, an integer in `[0, 2^32)`. */
  readonly step: number;
  /** Number of the first sample within the step, default 0; a shard of a batch passes where it begins. */
  readonly sampleOffset?: number;
}

/**
 * Discrete tensor noising: `q(x* | x, j) = Cat((1 - β(j)) · onehot(x) + β(j) / V)`, drawn independently for every
 * sample, window and entry. With probability β(j) (rounded up to a multiple of 2^-32) an entry becomes a uniform draw
 * from all V codes, which may hit the same code; PAD entries stay.
 *
 * Source: Cheng et al., ICLR 2026, discrete tensor noising. Differs: none.
 *
 * Entry `e` of sample `s` depends on `(seed, step, s, e)` alone, never on the batch around it, and raising β only adds
 * replacements to those that were there.
 *
 * @param windows `[B, count, k]`, codes in [0, V) or PAD
 * @returns a new array `[B, count, k]`
 * @throws TensorARError when sizes, rates, codes or the random address are out of range
 */
export function corruptWindows(windows: Int32Array, options: CorruptOptions): Int32Array {
  const needed = ["batch", "count", "windowSize", "vocabSize", "rates", "seed", "step"] as const;
  requireOptions("corruptWindows", options, needed);
  const { batch, count, windowSize, vocabSize, seed, step, sampleOffset = 0 } = options;
  checkOptions(windows, options);
  const thresholds = Float64Array.from(options.rates, (rate) => rate * 2 ** 32);
  const { key0, key1, index0, counter3 } = streamAddress("corruptWindows", seed, "corrupt", [step, sampleOffset]);
  const entries = count * windowSize;
  const corrupted = windows.slice();
  const words = new Uint32Array(4);
  for (let b = 0; b < batch; b++) {
    for (let entry = 0; entry < entries; entry++) {
      const at = b * entries + entry;
      const code = windows[at]!;
      if (code === PAD) continue;
      if (code < 0 || code >= vocabSize) throw codeError(at, code, vocabSize);
      const threshold = thresholds[entry % windowSize]!;
      if (threshold === 0) continue;
      philoxInto(words, 0, entry, index0, sampleOffset + b, counter3, key0, key1);
      if (words[0]! < threshold) corrupted[at] = uniformCode(words, vocabSize);
    }
  }
  return corrupted;
}

/**
 * A code from the words 1 to 3 of a block: the first that scales without bias. All three fail with probability below
 * (V / 2^32)^3, about 2^-54 for V = 16384; the last is then scaled with its bias rather than drawn from elsewhere.
 */
function uniformCode(words: Uint32Array, vocabSize: number): number {
  for (let i = 1; i < 4; i++) {
    const code = scaleWord(words[i]!, vocabSize);
    if (code >= 0) return code;
  }
  return Math.floor((words[3]! / 2 ** 32) * vocabSize);
}

function checkOptions(windows: Int32Array, options: CorruptOptions): void {
  const { batch, count, windowSize, vocabSize, rates, step, sampleOffset = 0 } = options;
  expectInteger("corruptWindows", "batch", batch, 0, 2 ** 31 - 1);
  expectInteger("corruptWindows", "count", count, 0, 2 ** 31 - 1);
  expectInteger("corruptWindows", "windowSize", windowSize, 1, 2 ** 31 - 1);
  expectInteger("corruptWindows", "vocabSize", vocabSize, 1, 2 ** 31 - 1);
  expectInteger("corruptWindows", "step", step, 0, MAX_UINT32);
  expectInteger("corruptWindows", "sampleOffset", sampleOffset, 0, MAX_UINT32 - batch);
  expectLength("corruptWindows", "windows", windows.length, { batch, count, windowSize });
  checkRates("corruptWindows", rates, windowSize);
}

function codeError(at: number, code: number, vocabSize: number): TensorARError {
  return new TensorARError(
    `corruptWindows: windows[${at}] = ${code} is neither PAD (${PAD}) nor a code below vocabSize = ${vocabSize}`,
  );
}
