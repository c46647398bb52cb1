import { TensorARError } from "@tensorar/core";
import { createWorkspace, type Kernels } from "./kernels";

/** How a code is drawn from one row of logits. Applied in this order, as in LlamaGen `autoregressive/models/generate.py`. */
export interface SamplingOptions {
  /** Divides the logits; > 0. Below 1 sharpens. */
  readonly temperature: number;
  /** Keep the K largest logits and whatever ties with the K-th; 0 keeps all. */
  readonly topK: number;
  /** Keep the fewest codes whose probabilities, largest first, add up to more than this; 1 keeps all. */
  readonly topP: number;
}

/** Every code of the model's own distribution, the default. */
export const UNFILTERED: SamplingOptions = { temperature: 1, topK: 0, topP: 1 };

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
  /** The code of the largest logit; the first of several. @throws as `weights` */
  argmax(logits: Float32Array, offset: number, where: string): number;
}

/** Codes whose weights are added up before one of them is looked for: their sum is all that is kept of them. */
const BLOCK = 256;

/** 2^(j / 64) for j = 0 … 63. Of roots and products, since those round alike in every engine. */
const POWERS = Float64Array.from({ length: 64 }, (_, j) => {
  let [power, root] = [1, 2];
  for (let bit = 5; bit >= 0; bit--) {
    root = Math.sqrt(root);
    if ((j >> bit) & 1) power *= root;
  }
  return power;
});

/** Memory of the kernels for rows of V logits. */
interface Scratch {
  readonly kernels: Kernels;
  /** Addresses, in bytes. */
  readonly at: Readonly<Record<"powers" | "values" | "kept" | "codes" | "weights", number>>;
  /** The row, then -Infinity up to a multiple of four. */
  readonly values: Float32Array;
  readonly codes: Int32Array;
  readonly weights: Float64Array;
}

/** By V. Shared, since a row is done with before the next one comes: an engine has room for few memories. */
const scratches = new Map<number, Scratch>();

function scratchOf(V: number): Scratch {
  const found = scratches.get(V);
  if (found) return found;
  const padded = 4 * Math.ceil(V / 4);
  const sizes = { powers: 8 * POWERS.length, values: 4 * padded, kept: 4 * padded, codes: 4 * V, weights: 8 * padded };
  const { end, ...at } = layOut(sizes);
  const { kernels, memory } = createWorkspace(end);
  new Float64Array(memory, at.powers).set(POWERS);
  const scratch = {
    kernels,
    at,
    values: new Float32Array(memory, at.values, padded).fill(Number.NEGATIVE_INFINITY),
    codes: new Int32Array(memory, at.codes, V),
    weights: new Float64Array(memory, at.weights, padded),
  };
  scratches.set(V, scratch);
  return scratch;
}

/** @param vocabSize V @throws TensorARError without WebAssembly and its SIMD */
export function createCategorical(vocabSize: number): Categorical {
  const V = vocabSize;
  const { kernels, at, values, codes, weights } = scratchOf(V);
  const sums = new Float64Array(Math.ceil(V / BLOCK));
  let scattered: Float64Array | undefined;

  const read = (logits: Float32Array, offset: number, where: string): number => {
    const row = logits.subarray(offset, offset + V);
    if (row.length < V) throw new TensorARError(`${where}: a row of ${row.length} logits for ${V} codes`);
    values.set(row);
    const largest = kernels.largest(at.values, V);
    if (Number.isFinite(largest)) return largest;
    const remedy = "check the model's weights and inputs";
    throw new TensorARError(
      Number.isNaN(largest)
        ? `${where}: logit of code ${row.findIndex(Number.isNaN)} is NaN; ${remedy}`
        : `${where}: the largest logit is ${largest}; ${remedy}`,
    );
  };

  /** Puts weights of the values at an address into `weights`; returns their sum. */
  const weigh = (from: number, count: number, { largest, temperature }: Kept): number => {
    const scale = Math.min(1 / temperature, Number.MAX_VALUE); // no infinity, whose product with 0 would be NaN
    return kernels.weigh(from, count, largest, scale, at.powers, at.weights);
  };

  const filter = (logits: Float32Array, offset: number, options: SamplingOptions, where: string): Kept => {
    const { temperature, topK, topP } = options;
    const largest = read(logits, offset, where);
    const K = topK > 0 && topK < V ? topK : V;
    const all = { from: at.values, count: V, largest, temperature, filtered: false };
    if (K === V && topP >= 1) return all;
    const threshold = K < V ? kernels.thresholdOf(at.values, V, K, largest) : Number.NEGATIVE_INFINITY;
    const keep = (threshold: number, ties: number): Kept => {
      const count = kernels.keep(at.values, V, threshold, ties, at.kept, at.codes);
      return { ...all, from: at.kept, count, filtered: true };
    };
    const kept = keep(threshold, V);
    if (topP >= 1) return kept;
    const wanted = topP * weigh(kept.from, kept.count, kept);
    const fewest = kernels.nucleus(at.kept, at.weights, kept.count, wanted, largest);
    return keep(fewest, kernels.tiesNeeded(at.kept, at.weights, kept.count, wanted, fewest));
  };

  return {
    weights(logits, offset, options, where) {
      const kept = filter(logits, offset, options, where);
      const total = weigh(kept.from, kept.count, kept);
      scattered ??= new Float64Array(V);
      if (kept.filtered) {
        scattered.fill(0);
        for (let i = 0; i < kept.count; i++) scattered[codes[i]!] = weights[i]!;
      } else scattered.set(weights.subarray(0, V));
      return { weights: scattered, total };
    },
    sample(logits, offset, options, uniform, where) {
      const kept = filter(logits, offset, options, where);
      const weighBlock = (first: number): number =>
        weigh(kept.from + 4 * first, Math.min(BLOCK, kept.count - first), kept);
      let total = 0;
      for (let first = 0, block = 0; first < kept.count; first += BLOCK, block++) {
        sums[block] = weighBlock(first);
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
      weighBlock(last);
      const end = Math.min(BLOCK, kept.count - last);
      let index = last;
      for (let i = 0; i < end; i++) {
        if (weights[i] === 0) continue;
        index = last + i;
        rest -= weights[i]!;
        if (rest < 0) break;
      }
      return kept.filtered ? codes[index]! : index;
    },
    race(logits, offset, options, words, where) {
      const kept = filter(logits, offset, options, where);
      weigh(kept.from, kept.count, kept);
      let [best, winner] = [Number.POSITIVE_INFINITY, 0];
      for (let i = 0; i < kept.count; i++) {
        const code = kept.filtered ? codes[i]! : i;
        const [weight, uniform] = [weights[i]!, (words[code]! + 0.5) / 2 ** 32];
        // E is never below its uniform number, so few logarithms are taken.
        if (uniform >= best * weight) continue;
        const exponential = -Math.log1p(-uniform);
        if (exponential >= best * weight) continue;
        [best, winner] = [exponential / weight, code];
      }
      return winner;
    },
    argmax: (logits, offset, where) => values.indexOf(read(logits, offset, where)),
  };
}

/** What is kept of one row. */
interface Kept {
  /** Address of the values. */
  readonly from: number;
  readonly count: number;
  readonly largest: number;
  readonly temperature: number;
  /** Whether some were left out, so that value i is that of `codes[i]`. */
  readonly filtered: boolean;
}

/** Addresses of arrays of so many bytes, one after the other, each at a multiple of 16. */
function layOut<Name extends string>(sizes: Readonly<Record<Name, number>>): Readonly<Record<Name | "end", number>> {
  let end = 0;
  const at = Object.fromEntries(
    Object.entries<number>(sizes).map(([name, size]) => {
      const start = end;
      end += 16 * Math.ceil(size / 16);
      return [name, start];
    }),
  );
  return { ...at, end } as Record<Name | "end", number>;
}

/** @throws TensorARError naming the option that is out of range */
export function checkSampling({ temperature, topK, topP }: SamplingOptions): void {
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new TensorARError(`temperature ${temperature} is out of range; use a positive number`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new TensorARError(`topK ${topK} is out of range; use a whole number, 0 to keep all codes`);
  if (!(topP > 0 && topP <= 1)) throw new TensorARError(`topP ${topP} is out of range; use more than 0 and at most 1`);
}
