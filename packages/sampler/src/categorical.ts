import { type Kept, keepCodes, readRow, type Scratch, scratchOf, weighKept } from "./kept-codes";
import type { SamplingOptions } from "./sampling-options";

/** Draws from one row of V logits at a time, reusing its scratch memory. */
export interface Categorical {
  /**
   * Unnormalised weights of the codes that are kept, 0 elsewhere.
   * @returns [V], valid until the next call, and their sum
   * @throws TensorARError when a logit is NaN, all are -Infinity, or the row ends early; `where` says whose row it is
   */
  weights(
    logits: Float32Array,
    offset: number,
    options: SamplingOptions,
    where: string,
  ): { weights: Float64Array; total: number };
  /** The code at `uniform` in [0, 1) of the cumulative distribution. @throws as `weights` */
  sample(logits: Float32Array, offset: number, options: SamplingOptions, uniform: number, where: string): number;
  /**
   * The code that the Gumbel-max trick draws: the largest sum of a logit over the temperature and a standard Gumbel number. Like
   * distributions drawn with the same numbers give mostly the same code.
   * Source: Maddison et al. 2014, "A* sampling", section 2; in the form of a race, `argmin E / weight` with exponential E.
   * @param words [V] random words, of which those of the kept codes are read: E = -log(1 - (word + 1/2) / 2^32)
   * @throws as `weights`
   */
  race(logits: Float32Array, offset: number, options: SamplingOptions, words: Uint32Array, where: string): number;
  /** The probability of a code in the distribution that `sample` and `race` draw from; 0 of one that is left out. @throws as `weights` */
  probability(logits: Float32Array, offset: number, options: SamplingOptions, code: number, where: string): number;
  /** The code of the largest logit; the first of several. @throws as `weights` */
  argmax(logits: Float32Array, offset: number, where: string): number;
}

/** Codes whose weights are added up before one of them is looked for: their sum is all that is kept of them. */
const BLOCK = 256;

/** @param vocabSize V @throws TensorARError without WebAssembly and its SIMD */
export function createCategorical(vocabSize: number): Categorical {
  const scratch = scratchOf(vocabSize);
  const sums = new Float64Array(Math.ceil(vocabSize / BLOCK));
  let scattered: Float64Array | undefined;
  return {
    weights(logits, offset, options, where) {
      const kept = keepCodes(scratch, logits, offset, options, where);
      const total = weighKept(scratch, kept);
      scattered ??= new Float64Array(vocabSize);
      scatterWeights(scratch, kept, scattered);
      return { weights: scattered, total };
    },
    sample(logits, offset, options, uniform, where) {
      const kept = keepCodes(scratch, logits, offset, options, where);
      return codeOf(scratch, kept, indexAt(scratch, kept, uniform, sums));
    },
    race(logits, offset, options, words, where) {
      const kept = keepCodes(scratch, logits, offset, options, where);
      weighKept(scratch, kept);
      return winnerOf(scratch, kept, words);
    },
    probability(logits, offset, options, code, where) {
      const kept = keepCodes(scratch, logits, offset, options, where);
      const total = weighKept(scratch, kept);
      const index = kept.filtered ? scratch.codes.subarray(0, kept.count).indexOf(code) : code;
      return index < 0 ? 0 : scratch.weights[index]! / total;
    },
    argmax: (logits, offset, where) => scratch.values.indexOf(readRow(scratch, logits, offset, where)),
  };
}

const codeOf = ({ codes }: Scratch, { filtered }: Kept, index: number): number => (filtered ? codes[index]! : index);

/** The weights of kept codes at their codes, 0 elsewhere. @param out [V] */
function scatterWeights({ codeCount, codes, weights }: Scratch, kept: Kept, out: Float64Array): void {
  if (!kept.filtered) {
    out.set(weights.subarray(0, codeCount));
    return;
  }
  out.fill(0);
  for (let i = 0; i < kept.count; i++) out[codes[i]!] = weights[i]!;
}

/** Which of the kept values is at `uniform` of the cumulative distribution. @param sums room for the sum of each block */
function indexAt(scratch: Scratch, kept: Kept, uniform: number, sums: Float64Array): number {
  const { weights } = scratch;
  const sizeOf = (first: number): number => Math.min(BLOCK, kept.count - first);
  let total = 0;
  for (let first = 0, block = 0; first < kept.count; first += BLOCK, block++) {
    sums[block] = weighKept(scratch, kept, first, sizeOf(first));
    total += sums[block]!;
  }
  // In both loops `last` is the last with any weight, for when rounding leaves a remainder.
  let [rest, last] = [uniform * total, 0];
  for (let first = 0, block = 0; first < kept.count; first += BLOCK, block++) {
    if (sums[block] === 0) continue;
    last = first;
    if (rest < sums[block]!) break;
    rest -= sums[block]!;
  }
  const size = sizeOf(last);
  weighKept(scratch, kept, last, size);
  let index = last;
  for (let i = 0; i < size; i++) {
    if (weights[i] === 0) continue;
    index = last + i;
    rest -= weights[i]!;
    if (rest < 0) break;
  }
  return index;
}

/** The kept code whose exponential number over its weight is the smallest. @param words [V] */
function winnerOf(scratch: Scratch, kept: Kept, words: Uint32Array): number {
  const { weights } = scratch;
  let [best, winner] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < kept.count; i++) {
    const code = codeOf(scratch, kept, i);
    const [weight, uniform] = [weights[i]!, (words[code]! + 0.5) / 2 ** 32];
    // E is never below its uniform number, so few logarithms are taken.
    if (uniform >= best * weight) continue;
    const exponential = -Math.log1p(-uniform);
    if (exponential >= best * weight) continue;
    [best, winner] = [exponential / weight, code];
  }
  return winner;
}
