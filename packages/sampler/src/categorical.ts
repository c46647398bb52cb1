import { TensorARError } from "./errors";
import { exponential } from "./exponential";
import { type Kept, keptLogits } from "./filter";

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

/** @param vocabSize V */
export function createCategorical(vocabSize: number): Categorical {
  const weights = new Float64Array(vocabSize);
  const scratch = new Float32Array(vocabSize);

  const compute: Categorical["weights"] = (logits, offset, { temperature, topK, topP }, where) => {
    const row = logits.subarray(offset, offset + vocabSize);
    const largest = largestOf(row, where);
    const filtered = (topK > 0 && topK < vocabSize) || topP < 1;
    const total = filtered
      ? weighKept(row, keptLogits(row, largest, { temperature, topK, topP }, scratch), largest, temperature, weights)
      : weighAll(row, largest, temperature, weights);
    return { weights, total };
  };

  return {
    weights: compute,
    sample(logits, offset, options, uniform, where) {
      const { total } = compute(logits, offset, options, where);
      let rest = uniform * total;
      let last = 0;
      for (let code = 0; code < vocabSize; code++) {
        const weight = weights[code]!;
        if (weight === 0) continue;
        last = code;
        rest -= weight;
        if (rest < 0) return code;
      }
      return last; // rounding left a remainder above 0
    },
  };
}

/** Weights of all codes; returns their sum. */
function weighAll(row: Float32Array, largest: number, temperature: number, weights: Float64Array): number {
  let total = 0;
  for (let code = 0; code < row.length; code++) {
    const weight = exponential((row[code]! - largest) / temperature);
    weights[code] = weight;
    total += weight;
  }
  return total;
}

/** As {@link weighAll}, with 0 for what is not kept. */
function weighKept(
  row: Float32Array,
  { threshold, ties }: Kept,
  largest: number,
  temperature: number,
  weights: Float64Array,
): number {
  let [total, left] = [0, ties];
  weights.fill(0);
  for (let code = 0; code < row.length; code++) {
    const logit = row[code]!;
    if (logit < threshold || (logit === threshold && left-- <= 0)) continue;
    const weight = exponential((logit - largest) / temperature);
    weights[code] = weight;
    total += weight;
  }
  return total;
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
