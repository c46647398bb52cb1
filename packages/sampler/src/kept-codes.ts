import { TensorARError } from "@tensorar/core";
import { createWorkspace, type Kernels } from "./kernels";
import type { SamplingOptions } from "./sampling-options";

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
export interface Scratch {
  /** V */
  readonly codeCount: number;
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

/** @throws TensorARError without WebAssembly and its SIMD */
export function scratchOf(V: number): Scratch {
  const found = scratches.get(V);
  if (found) return found;
  const padded = 4 * Math.ceil(V / 4);
  const sizes = { powers: 8 * POWERS.length, values: 4 * padded, kept: 4 * padded, codes: 4 * V, weights: 8 * padded };
  const { end, ...at } = layOut(sizes);
  const { kernels, memory } = createWorkspace(end);
  new Float64Array(memory, at.powers).set(POWERS);
  const scratch = {
    codeCount: V,
    kernels,
    at,
    values: new Float32Array(memory, at.values, padded).fill(Number.NEGATIVE_INFINITY),
    codes: new Int32Array(memory, at.codes, V),
    weights: new Float64Array(memory, at.weights, padded),
  };
  scratches.set(V, scratch);
  return scratch;
}

/** What is kept of one row. */
export interface Kept {
  /** Address of the values. */
  readonly from: number;
  readonly count: number;
  readonly largest: number;
  readonly temperature: number;
  /** Whether some were left out, so that value i is that of `codes[i]`. */
  readonly filtered: boolean;
}

/**
 * Puts a row into the memory; returns its largest logit.
 * @throws TensorARError when a logit is NaN, all are -Infinity, or the row ends early
 */
export function readRow(scratch: Scratch, logits: Float32Array, offset: number, where: string): number {
  const { codeCount: V, kernels, at, values } = scratch;
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
}

/** Puts weights of some of the kept values into `weights`; returns their sum. */
export function weighKept({ kernels, at }: Scratch, kept: Kept, first = 0, count = kept.count): number {
  const scale = Math.min(1 / kept.temperature, Number.MAX_VALUE); // no infinity, whose product with 0 would be NaN
  return kernels.weigh(kept.from + 4 * first, count, kept.largest, scale, at.powers, at.weights);
}

/** Reads a row and filters it by top-k, then top-p. @throws as {@link readRow} */
export function keepCodes(
  scratch: Scratch,
  logits: Float32Array,
  offset: number,
  { temperature, topK, topP }: SamplingOptions,
  where: string,
): Kept {
  const { codeCount: V, kernels, at } = scratch;
  const largest = readRow(scratch, logits, offset, where);
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
  const wanted = topP * weighKept(scratch, kept);
  const fewest = kernels.nucleus(at.kept, at.weights, kept.count, wanted, largest);
  return keep(fewest, kernels.tiesNeeded(at.kept, at.weights, kept.count, wanted, fewest));
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
