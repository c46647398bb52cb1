import { exponential } from "./exponential";

/** Which logits top-k and top-p keep: all above the threshold, and the first `ties` of those that equal it. */
export interface Kept {
  readonly threshold: number;
  readonly ties: number;
}

/** What a filter needs to know of one row. */
export interface FilterOptions {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
}

/**
 * Threshold of top-k and top-p.
 * @param largest the largest of `row`
 * @param scratch [V], overwritten
 */
export function keptLogits(
  row: Float32Array,
  largest: number,
  { temperature, topK, topP }: FilterOptions,
  scratch: Float32Array,
): Kept {
  const V = row.length;
  const threshold = topK > 0 && topK < V ? kthLargest(row, topK, scratch) : Number.NEGATIVE_INFINITY;
  if (topP >= 1) return { threshold, ties: V };
  const count = collect(row, threshold, scratch);
  return nucleus(scratch.subarray(0, count), largest, temperature, topP);
}

/** Copies the values that reach the threshold to the start of `out`; returns how many. */
function collect(row: Float32Array, threshold: number, out: Float32Array): number {
  let count = 0;
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    out[count] = value; // and overwritten by the next one if it is too small: no branch to mispredict
    count += value >= threshold ? 1 : 0;
  }
  return count;
}

/** One in so many values is looked at first. */
const STRIDE = 16;

/**
 * The K-th largest of many values. A sample says about where it lies, so that what is searched in earnest is little more than
 * the K largest. Source: Floyd & Rivest 1975, "Expected time bounds for selection", in its plainest form.
 */
function kthLargest(row: Float32Array, K: number, scratch: Float32Array): number {
  const sampled = Math.floor(row.length / STRIDE);
  const expected = K / STRIDE;
  const rank = Math.ceil(expected + 4 * Math.sqrt(expected) + 4); // of the sample: rarely too high
  if (rank < sampled / 2) {
    for (let i = 0; i < sampled; i++) scratch[i] = row[i * STRIDE]!;
    const below = select(scratch.subarray(0, sampled), sampled - rank);
    const count = collect(row, below, scratch);
    if (count >= K) return select(scratch.subarray(0, count), count - K);
  }
  scratch.set(row);
  return select(scratch, row.length - K);
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
