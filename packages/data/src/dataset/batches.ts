import { TensorARError } from "@tensorar/core";
import { permutation } from "@tensorar/noise";

/** Which batch is meant: the seed and the number of the step. */
export interface BatchAddress {
  /** Items to draw from. */
  readonly count: number;
  /** Items a batch; may exceed `count`. */
  readonly batchSize: number;
  readonly seed: number;
  /** 0 for the first batch. */
  readonly step: number;
}

/**
 * The items of one training batch. Every epoch is a new random order of all items; batches follow one another through
 * the epochs without a gap, so one may hold the end of an epoch and the start of the next. The result depends on its
 * arguments alone: a run that is resumed at any step sees the batches that it would have seen.
 *
 * @returns [batchSize] indices in [0, count)
 * @throws TensorARError when an argument is out of range
 */
export function batchIndices({ count, batchSize, seed, step }: BatchAddress): Int32Array {
  if (!Number.isInteger(count) || count < 1)
    throw new TensorARError(`batchIndices: count = ${count}; there must be at least one item to draw from`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new TensorARError(`batchIndices: batchSize = ${batchSize}; it must be a positive integer`);
  if (!Number.isInteger(step) || step < 0)
    throw new TensorARError(`batchIndices: step = ${step}; it must be a whole number from 0`);
  const out = new Int32Array(batchSize);
  for (let i = 0; i < batchSize; i++) {
    const position = step * batchSize + i;
    out[i] = epochOrder(count, seed, Math.floor(position / count))[position % count]!;
  }
  return out;
}

// Orders are pure functions of their key; the last few are kept because drawing one costs a pass over the data set.
const KEPT_ORDERS = 4;
const orders = new Map<string, Int32Array>();

function epochOrder(count: number, seed: number, epoch: number): Int32Array {
  const key = `${count} ${seed} ${epoch}`;
  const kept = orders.get(key);
  if (kept) return kept;
  const order = permutation(count, seed, "batch-order", epoch);
  orders.set(key, order);
  if (orders.size > KEPT_ORDERS) orders.delete(orders.keys().next().value!);
  return order;
}
