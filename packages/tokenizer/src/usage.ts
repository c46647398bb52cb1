import { TensorARError } from "@tensorar/core";

/** Codes that the original remembers. */
export const USAGE_WINDOW = 65_536;

/** A memory of the most recent codes, in which every slot still holds code 0. */
export const emptyUsage = (): Int32Array => new Int32Array(USAGE_WINDOW);

/**
 * Appends codes to a memory, dropping the oldest. Source: `codebook_used` in `VectorQuantizer.forward` of LlamaGen's
 * `vq_model.py`.
 * @param memory oldest first, as `emptyUsage` or this function returned it; left as it is
 * @throws TensorARError where there are more codes than slots
 */
export function recordCodes(memory: Int32Array, codes: Int32Array): Int32Array {
  if (codes.length > memory.length) {
    throw new TensorARError(
      `recordCodes: ${codes.length} codes do not fit a memory of ${memory.length}; record them in parts`,
    );
  }
  const next = new Int32Array(memory.length);
  next.set(memory.subarray(codes.length));
  next.set(codes, memory.length - codes.length);
  return next;
}

/**
 * Share of the codebook seen in a memory, in `(0, 1]`. As in the original, slots that nothing has been written to count
 * as code 0.
 */
export const codebookUsage = (memory: Int32Array, codebookSize: number): number => new Set(memory).size / codebookSize;

/** How often each code occurs, `[V]`. @throws TensorARError for a code outside `[0, V)` */
export function countCodes(codes: Int32Array, codebookSize: number): Int32Array {
  const counts = new Int32Array(codebookSize);
  for (const code of codes) {
    if (!(code >= 0 && code < codebookSize)) {
      throw new TensorARError(`countCodes: code ${code} is outside [0, ${codebookSize}); pass codes of this codebook`);
    }
    counts[code]!++;
  }
  return counts;
}
