import { exponential } from "./exponential";

/** What a filter needs to know of one row. */
export interface FilterOptions {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
}

/** Finds the codes that top-k and top-p keep, reusing its scratch memory. */
export interface Filter {
  /**
   * @param row [V]
   * @param largest the largest of `row`
   * @returns the codes that are kept, ascending; valid until the next call
   */
  keptCodes(row: Float32Array, largest: number, options: FilterOptions): Int32Array;
}

/** @param vocabSize V */
export function createFilter(vocabSize: number): Filter {
  const scratch = new Float32Array(vocabSize);
  const codes = new Int32Array(vocabSize);
  return {
    keptCodes(row, largest, { temperature, topK, topP }) {
      const K = topK > 0 && topK < vocabSize ? topK : vocabSize;
      let count = collect(row, likelyThreshold(row, K, scratch), codes);
      if (count < K) count = collect(row, Number.NEGATIVE_INFINITY, codes);
      const candidates = codes.subarray(0, count);
      const values = scratch.subarray(0, candidates.length);
      for (let i = 0; i < candidates.length; i++) values[i] = row[candidates[i]!]!;
      const threshold = K < vocabSize ? select(values, values.length - K) : Number.NEGATIVE_INFINITY;
      const kept = reaching(row, candidates, { threshold, ties: vocabSize });
      if (topP >= 1) return kept;
      for (let i = 0; i < kept.length; i++) values[i] = row[kept[i]!]!;
      return reaching(row, kept, nucleus(values.subarray(0, kept.length), largest, temperature, topP));
    },
  };
}

/** What is kept: all above the threshold, and the first `ties` of those that equal it. */
interface Kept {
  readonly threshold: number;
  readonly ties: number;
}

/** Those of some codes that are kept, moved to the front. */
function reaching(row: Float32Array, codes: Int32Array, { threshold, ties }: Kept): Int32Array {
  let [count, left] = [0, ties];
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    const value = row[code]!;
    if (value > threshold || (value === threshold && left-- > 0)) codes[count++] = code;
  }
  return codes.subarray(0, count);
}

/** Writes the codes whose values reach the threshold to `out`; returns how many. */
function collect(row: Float32Array, threshold: number, out: Int32Array): number {
  let count = 0;
  for (let code = 0; code < row.length; code++) if (row[code]! >= threshold) out[count++] = code;
  return count;
}

/** One in so many values is looked at first. */
const STRIDE = 16;

/**
 * A value that K of the row or some more reach, by what a sample of it says, so that what is searched in earnest is little more
 * than the K largest. Source: Floyd & Rivest 1975, "Expected time bounds for selection", in its plainest form.
 */
function likelyThreshold(row: Float32Array, K: number, scratch: Float32Array): number {
  const sampled = Math.floor(row.length / STRIDE);
  const expected = K / STRIDE;
  const rank = Math.ceil(expected + 4 * Math.sqrt(expected) + 4); // of the sample: rarely too high
  if (rank >= sampled / 2) return Number.NEGATIVE_INFINITY;
  for (let i = 0; i < sampled; i++) scratch[i] = row[i * STRIDE]!;
  return select(scratch.subarray(0, sampled), sampled - rank);
}

/**
 * The value that would stand at `index` if these were sorted. They are put in another order.
 * Source: Hoare 1961, "Algorithm 65: Find", with the middle of three as pivot.
 */
function select(values: Float32Array, index: number): number {
  let [left, right] = [0, values.length - 1];
  while (left < right) {
    const { i, j } = partition(values, left, right);
    if (index <= j) right = j;
    else if (index >= i) left = i;
    else break;
  }
  return values[index]!;
}

/**
 * Threshold of the fewest values, largest first, whose weights add up to more than `topP` of all. As {@link select}, but what
 * is counted on the larger side is weight.
 */
function nucleus(values: Float32Array, largest: number, temperature: number, topP: number): Kept {
  const weight = (value: number): number => exponential((value - largest) / temperature);
  const sum = (from: number, to: number): number => {
    let total = 0;
    for (let i = from; i < to; i++) total += weight(values[i]!);
    return total;
  };
  const wanted = topP * sum(0, values.length);
  let [left, right, beyond] = [0, values.length - 1, 0]; // `beyond`: weight behind `right`
  while (left < right) {
    const { i, j } = partition(values, left, right);
    const larger = beyond + sum(i, right + 1);
    const withEqual = larger + sum(j + 1, i);
    if (larger > wanted) left = i;
    else if (withEqual > wanted) left = right = j + 1;
    else [right, beyond] = [j, withEqual];
  }
  const threshold = values[left]!;
  let above = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > threshold) above += weight(values[i]!);
  const needed = Math.floor((wanted - above) / weight(threshold)) + 1; // their weights together exceed what is missing
  return { threshold, ties: Math.max(1, needed) };
}

/** Values `left … j` are at most the pivot, `i … right` at least, and those between equal it. */
function partition(values: Float32Array, left: number, right: number): { readonly i: number; readonly j: number } {
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
  return { i, j };
}

const middleOf = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
