import { TensorARError } from "./errors";
import { exponential } from "./exponential";
import { createFilter } from "./filter";

/** How a code is drawn from one row of logits. Applied in this order, as in LlamaGen `autoregressive/models/generate.py`. */
export interface SamplingOptions {
  /** Divides the logits; > 0. Below 1 sharpens. */
  readonly temperature: number;
  /** Keep the K largest logits and whatever ties with the K-th; 0 keeps all. */
  readonly topK: number;
  /** Keep the fewest codes whose probabilities, largest first, add up to more than this; 1 keeps all. */
  readonly topP: number;
}

/** Draws from one row of V logits at a time, reusing its scratch memory. */
export interface Categorical {
  /**
   * Unnormalised weights of the codes that are kept, 0 elsewhere.
   * @returns [V], valid until the next call, and their sum
   * @throws TensorARError when a logit is NaN or all are -Infinity; `where` says whose row it is
   */
  weights(
    logits: Float32Array,
    offset: number,
    options: SamplingOptions,
    where: string,
  ): { weights: Float64Array; total: number };
  /** The code at `uniform` in [0, 1) of the cumulative distribution. */
  sample(logits: Float32Array, offset: number, options: SamplingOptions, uniform: number, where: string): number;
}

/** Codes whose weights are added up before one of them is looked for: their sum is all that is kept of them. */
const BLOCK = 256;

/** @param vocabSize V */
export function createCategorical(vocabSize: number): Categorical {
  const weights = new Float64Array(vocabSize);
  const sums = new Float64Array(Math.ceil(vocabSize / BLOCK));
  const filter = createFilter(vocabSize);

  const prepare = (logits: Float32Array, offset: number, options: SamplingOptions, where: string): Row => {
    const { temperature, topK, topP } = options;
    const values = logits.subarray(offset, offset + vocabSize);
    const largest = largestOf(values, where);
    if ((topK === 0 || topK >= vocabSize) && topP >= 1)
      return { values, codes: undefined, count: vocabSize, largest, temperature };
    const codes = filter.keptCodes(values, largest, options);
    return { values, codes, count: codes.length, largest, temperature };
  };

  return {
    weights(logits, offset, options, where) {
      const row = prepare(logits, offset, options, where);
      weights.fill(0);
      return { weights, total: weigh(row, 0, row.count, weights) };
    },
    sample(logits, offset, options, uniform, where) {
      const row = prepare(logits, offset, options, where);
      const blocks = Math.ceil(row.count / BLOCK);
      let total = 0;
      for (let block = 0; block < blocks; block++) {
        sums[block] = weigh(row, block * BLOCK, Math.min(row.count, (block + 1) * BLOCK));
        total += sums[block]!;
      }
      let rest = uniform * total;
      let last = 0; // of the blocks with any weight, if rounding leaves a remainder
      for (let block = 0; block < blocks; block++) {
        if (sums[block] === 0) continue;
        last = block;
        if (rest < sums[block]!) break;
        rest -= sums[block]!;
      }
      return codeAt(row, last * BLOCK, Math.min(row.count, (last + 1) * BLOCK), rest);
    },
  };
}

/** One row of logits, and what is kept of it. */
interface Row {
  readonly values: Float32Array;
  /** Ascending; undefined: all. */
  readonly codes: Int32Array | undefined;
  readonly count: number;
  readonly largest: number;
  readonly temperature: number;
}

/** Sum of the weights of the kept codes number `from … to - 1`; each goes to its code's place in `out` where that is given. */
function weigh({ values, codes, largest, temperature }: Row, from: number, to: number, out?: Float64Array): number {
  let sum = 0;
  for (let i = from; i < to; i++) {
    const code = codes ? codes[i]! : i;
    const weight = exponential((values[code]! - largest) / temperature);
    if (out) out[code] = weight;
    sum += weight;
  }
  return sum;
}

/** The code at this weight among the kept ones number `from … to - 1`; the last that has any if rounding leaves a remainder. */
function codeAt(row: Row, from: number, to: number, at: number): number {
  let [rest, last] = [at, from];
  for (let i = from; i < to; i++) {
    const weight = weigh(row, i, i + 1);
    if (weight === 0) continue;
    last = i;
    rest -= weight;
    if (rest < 0) break;
  }
  return row.codes ? row.codes[last]! : last;
}

function largestOf(row: Float32Array, where: string): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    if (Number.isNaN(value))
      throw new TensorARError(`${where}: logit of code ${i} is NaN; check the model's weights and inputs`);
    if (value > largest) largest = value;
  }
  if (!Number.isFinite(largest))
    throw new TensorARError(`${where}: the largest logit is ${largest}; check the model's weights and inputs`);
  return largest;
}

/** Index of the largest of V logits; the first of several. @throws as {@link Categorical.weights} */
export function argmax(logits: Float32Array, offset: number, vocabSize: number, where: string): number {
  const row = logits.subarray(offset, offset + vocabSize);
  return row.indexOf(largestOf(row, where));
}

/** @throws TensorARError naming the option that is out of range */
export function checkSampling({ temperature, topK, topP }: SamplingOptions): void {
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new TensorARError(`temperature ${temperature} is out of range; use a positive number`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new TensorARError(`topK ${topK} is out of range; use a whole number, 0 to keep all codes`);
  if (!(topP > 0 && topP <= 1)) throw new TensorARError(`topP ${topP} is out of range; use more than 0 and at most 1`);
}
