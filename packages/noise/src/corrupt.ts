import { requireOptions, TensorARError } from "@tensorar/core";
import { MAX_UINT32, streamAddress } from "./address";
import { expectInteger, expectLength } from "./checks";
import { philoxInto } from "./philox";
import { checkRates } from "./schedule";
import { createStream, scaleWord } from "./stream";
import { BLANK, PAD } from "./windows";

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
  /**
   * Probability, default 0, that a token is *hidden*: every entry j ≥ 1 that shows it, in whichever window, is replaced. One draw
   * for each token of a sample, so that some tokens have no true view at all and the others have mostly true ones.
   */
  readonly hidden?: number;
  /** Probability, default 0, that a replaced entry becomes {@link BLANK} and not a uniform code. */
  readonly blank?: number;
  /** Scales all rates of a sample by one uniform draw in [0, 1); default no. */
  readonly randomRates?: boolean;
  /** Rate of entry 0, default 0: tokens of the past are final in the paper. Scaled by `randomRates` as well. */
  readonly past?: number;
}

/**
 * Discrete tensor noising: `q(x* | x, j) = Cat((1 - β(j)) · onehot(x) + β(j) / V)`, drawn independently for every
 * sample, window and entry. With probability β(j) (rounded up to a multiple of 2^-32) an entry becomes a uniform draw
 * from all V codes, which may hit the same code; PAD entries stay.
 *
 * Source: Cheng et al., ICLR 2026, discrete tensor noising. Ours: `hidden` tokens, `blank` entries, random rates and noise on the
 * past, all off by default.
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
  const { batch, count, windowSize, vocabSize, seed, step, sampleOffset = 0, hidden = 0, blank = 0 } = options;
  checkOptions(windows, options);
  const { key0, key1, index0, counter3 } = streamAddress("corruptWindows", seed, "corrupt", [step, sampleOffset]);
  const entries = count * windowSize;
  const corrupted = windows.slice();
  const words = new Uint32Array(4);
  for (let b = 0; b < batch; b++) {
    const sample = sampleOffset + b;
    const thresholds = thresholdsOf(options, sample);
    const isHidden = hidden > 0 ? hiddenTokens({ ...options, hidden }, sample) : undefined;
    for (let entry = 0; entry < entries; entry++) {
      const at = b * entries + entry;
      const code = windows[at]!;
      if (code === PAD) continue;
      if (code < 0 || code >= vocabSize) throw codeError(at, code, vocabSize);
      const j = entry % windowSize;
      const threshold = j > 0 && isHidden?.[(entry - j) / windowSize + j] ? 2 ** 32 : thresholds[j]!;
      if (threshold === 0) continue;
      philoxInto(words, 0, entry, index0, sample, counter3, key0, key1);
      if (words[0]! < threshold) corrupted[at] = blankEntry(words, blank, j) ? BLANK : uniformCode(words, vocabSize);
    }
  }
  return corrupted;
}

/** Rates of a sample's entries as bounds of a 32-bit word. */
function thresholdsOf(options: CorruptOptions, sample: number): Float64Array {
  const { seed, step, randomRates = false, past = 0 } = options;
  const scale = randomRates ? createStream(seed, "corrupt-rates", step, sample).uniform() : 1;
  return Float64Array.from(options.rates, (rate, j) => (j === 0 ? past : rate) * scale * 2 ** 32);
}

/**
 * Which tokens of a sample `corruptWindows` hides: 1 for those, by position; as many as its windows reach.
 * @param sample number within the step
 */
export function hiddenTokens(
  {
    count,
    windowSize,
    seed,
    step,
    hidden,
  }: Required<Pick<CorruptOptions, "count" | "windowSize" | "seed" | "step" | "hidden">>,
  sample: number,
): Uint8Array {
  const stream = createStream(seed, "corrupt-hidden", step, sample);
  return Uint8Array.from({ length: count + windowSize - 1 }, () => (stream.uniform() < hidden ? 1 : 0));
}

/** Reads the last word of a block, which a code takes with a probability below (V / 2^32)^2 only. The past is never blank. */
const blankEntry = (words: Uint32Array, blank: number, entry: number): boolean =>
  entry > 0 && words[3]! < blank * 2 ** 32;

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
  for (const name of ["hidden", "blank", "past"] as const) {
    const value = options[name] ?? 0;
    if (!(value >= 0 && value <= 1))
      throw new TensorARError(`corruptWindows: ${name} = ${value} is no probability; pass 0 … 1`);
  }
}

function codeError(at: number, code: number, vocabSize: number): TensorARError {
  return new TensorARError(
    `corruptWindows: windows[${at}] = ${code} is neither PAD (${PAD}) nor a code below vocabSize = ${vocabSize}`,
  );
}
