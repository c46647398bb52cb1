import { TensorARError } from "./errors";

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
    if (filtered) scratch.set(row);
    const kept = filtered ? keptCodes(scratch, largest, temperature, topK, topP) : undefined;
    let total = 0;
    let ties = kept?.ties ?? 0;
    for (let code = 0; code < vocabSize; code++) {
      const logit = row[code]!;
      let keep = true;
      if (kept) keep = logit > kept.threshold || (logit === kept.threshold && ties-- > 0);
      const weight = keep ? Math.exp((logit - largest) / temperature) : 0;
      weights[code] = weight;
      total += weight;
    }
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

/**
 * Threshold of top-k and top-p: logits above it are kept, and the first `ties` of those that equal it.
 * @param values the row, which is put in another order
 */
function keptCodes(
  values: Float32Array,
  largest: number,
  temperature: number,
  topK: number,
  topP: number,
): { threshold: number; ties: number } {
  const V = values.length;
  const threshold = topK > 0 && topK < V ? select(values, V - topK) : Number.NEGATIVE_INFINITY;
  if (topP >= 1) return { threshold, ties: V };
  const ascending = values.filter((value) => value >= threshold).sort(); // top-k keeps these
  const weight = (i: number): number => Math.exp((ascending[i]! - largest) / temperature);
  let total = 0;
  for (let i = 0; i < ascending.length; i++) total += weight(i);
  let sum = 0;
  let last = ascending.length;
  while (last > 0 && sum <= topP * total) sum += weight(--last); // nucleus keeps ascending[last …]
  const nucleus = ascending[last]!;
  let ties = 0;
  for (let i = last; i < ascending.length && ascending[i] === nucleus; i++) ties++;
  return { threshold: nucleus, ties };
}

/**
 * The value that would stand at `index` if these were sorted; about 2·V comparisons, far fewer than sorting takes.
 * Source: Hoare 1961, "Algorithm 65: Find", with the middle of three as pivot.
 */
function select(values: Float32Array, index: number): number {
  let [left, right] = [0, values.length - 1];
  while (left < right) {
    const pivot = middleOf(values[left]!, values[(left + right) >> 1]!, values[right]!);
    let [i, j] = [left, right];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const swapped = values[i]!;
      values[i] = values[j]!;
      values[j] = swapped;
      i++;
      j--;
    }
    if (index <= j) right = j;
    else if (index >= i) left = i;
    else break;
  }
  return values[index]!;
}

const middleOf = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));

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
