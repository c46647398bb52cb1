import { TensorARError } from "@tensorar/core";
import { expectInteger } from "./checks";

/** How much of a codebook is in use. */
export interface CodebookUsage {
  /** Codes that occur at least once, 1 … vocabSize. */
  readonly used: number;
  /** `exp(entropy)` of the codes: as many equally likely codes would be as hard to guess; 1 … used. */
  readonly perplexity: number;
}

/** How often each code occurs, of codes that come in pieces. */
export interface CodebookCounts {
  /** @throws TensorARError where a code is out of range; nothing is added then */
  add(codes: Int32Array): void;
  /** Occurrences by code so far, `[vocabSize]`, as a copy. Those of parts add up to those of the whole. */
  counts(): Float64Array;
}

/**
 * How much of a tokenizer's codebook `codes` use.
 *
 * @param codes any number of codes in [0, vocabSize), at least one
 * @throws TensorARError where there is no code, or one is out of range
 */
export function codebookUsage(codes: Int32Array, vocabSize: number): CodebookUsage {
  const all = createCodebookCounts(vocabSize);
  all.add(codes);
  return codebookUsageOf(all.counts());
}

/** @param vocabSize codes that there are @throws TensorARError where it is out of range */
export function createCodebookCounts(vocabSize: number): CodebookCounts {
  expectInteger("codebookUsage", "vocabSize", vocabSize, 1, 2 ** 31);
  const counts = new Float64Array(vocabSize);
  return {
    add(codes) {
      const wrong = codes.findIndex((code) => code < 0 || code >= vocabSize);
      if (wrong >= 0)
        throw new TensorARError(
          `codebookUsage: codes[${wrong}] = ${codes[wrong]} is not in [0, ${vocabSize}); check vocabSize`,
        );
      for (const code of codes) counts[code] = counts[code]! + 1;
    },
    counts: () => counts.slice(),
  };
}

/**
 * Counts of all codes from those of parts; exact.
 * @throws TensorARError where they are of codebooks of different sizes
 */
export function mergeCodebookCounts(parts: readonly Float64Array[]): Float64Array {
  const [first, ...rest] = parts;
  if (!first) throw new TensorARError("mergeCodebookCounts: no parts; pass at least one");
  const total = first.slice();
  for (const part of rest) {
    if (part.length !== total.length)
      throw new TensorARError(
        `mergeCodebookCounts: ${part.length} codes do not fit ${total.length}; merge counts of one tokenizer`,
      );
    for (let i = 0; i < part.length; i++) total[i] = total[i]! + part[i]!;
  }
  return total;
}

/** @param counts occurrences by code, `[vocabSize]` @throws TensorARError where there is no code */
export function codebookUsageOf(counts: Float64Array): CodebookUsage {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) throw new TensorARError("codebookUsage: codes is empty; pass at least one code");
  let [used, entropy] = [0, 0];
  for (const count of counts) {
    if (count === 0) continue;
    used++;
    entropy -= (count / total) * Math.log(count / total);
  }
  return { used, perplexity: Math.exp(entropy) };
}
