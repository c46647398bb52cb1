import { MASK_VALUE, TensorARError } from "@tensorar/core";
import type { StepInputs, StepTensor } from "./cached-decoder";
import { type OutputTensor, readFloats } from "./outputs";

// R rows · H key heads · Dh head width · S positions held · L new positions

/** Sizes of a KV cache. */
export interface CacheShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  /** What the step takes and returns; default float32. float16 is held as its bits. */
  readonly dtype?: "float32" | "float16" | undefined;
}

/** Keys and values of all positions so far, in the layout that a step reads without rearranging. Rows may hold different numbers of them. */
export interface KvCache {
  /** [R]: positions of each row that hold something. */
  filled(): Int32Array;
  /** Cache and mask for the next step: the same objects as before until they are too short. */
  inputs(): Pick<StepInputs, "mask" | "keys" | "values">;
  /**
   * Stores the next L positions, of each row after its own.
   * @param rows [2, layers, R, H, L, Dh]
   * @param mask [R, L]: what is added to their scores; 0 unless given
   */
  append(rows: OutputTensor | undefined, mask?: OutputTensor): void;
  /** Forgets all positions of a row from this one on. @param filled [R] */
  truncate(filled: Int32Array): void;
}

const BUCKET = 64;

/** float32, or the bits of float16. */
type Numbers = Float32Array | Uint16Array;

/**
 * @param R rows
 * @param positions as many will likely be filled in all; room for them is set aside, memory that is not written costs nothing
 */
export function createCache(
  { layers, heads: H, headDim: Dh, dtype = "float32" }: CacheShape,
  R: number,
  positions: number,
): KvCache {
  const zeros = (length: number): Numbers => {
    try {
      return dtype === "float16" ? new Uint16Array(length) : new Float32Array(length);
    } catch (cause) {
      throw new TensorARError(
        `cachedDecoder: no memory for a cache of ${R} rows and ${room} positions, ${2 * layers} arrays of ${length} numbers; make ` +
          "fewer images at a time",
        { cause },
      );
    }
  };
  const lines = R * H; // of each array
  let S = BUCKET;
  let room = inBuckets(positions);
  const arrays = Array.from({ length: 2 * layers }, () => zeros(lines * room * Dh)); // keys, then values
  let mask = new Float32Array(R * S).fill(MASK_VALUE); // [R, S]
  const filled = new Int32Array(R);

  const views = () => {
    const tensors = arrays.map(
      (array): StepTensor => ({ dtype, shape: [R, H, S, Dh], data: array.subarray(0, lines * S * Dh) }),
    );
    return {
      mask: { dtype: "float32", shape: [R, S], data: mask } as StepTensor,
      keys: tensors.slice(0, layers),
      values: tensors.slice(layers),
    };
  };
  let inputs = views();

  const grow = (needed: number) => {
    const longer = inBuckets(needed);
    if (longer > room) {
      room = longer + inBuckets(positions);
      for (const [i, array] of arrays.entries()) {
        arrays[i] = zeros(lines * room * Dh);
        arrays[i].set(array.subarray(0, lines * S * Dh));
      }
    }
    const length = Math.max(...filled) * Dh;
    for (const array of arrays) spreadLines(array, { lines, from: S * Dh, to: longer * Dh, length });
    const old = mask;
    mask = new Float32Array(R * longer).fill(MASK_VALUE);
    copyLines(old, 0, { lines: R, length: S }, mask, 0, longer);
    S = longer;
    inputs = views();
  };

  return {
    filled: () => filled,
    inputs: () => inputs,
    append(rows, added) {
      if (rows?.dtype !== dtype || !(rows.data instanceof (dtype === "float16" ? Uint16Array : Float32Array)))
        throw new TensorARError(
          rows
            ? `cachedDecoder: the step returns rows in ${rows.dtype}, the cache is ${dtype}; set cache.dtype`
            : 'cachedDecoder: the step returns no "rows"; use packRows of @tensorar/model, or export the model again',
        );
      const L = rows.shape[4]!;
      const wanted = [2, layers, R, H, L, Dh];
      if (String(rows.shape) !== String(wanted))
        throw new TensorARError(
          `cachedDecoder: the step returns rows [${rows.shape.join(", ")}]; [${wanted.join(", ")}] fit its cache`,
        );
      const needed = Math.max(...filled) + L;
      if (needed > S) grow(needed);
      const { data } = rows;
      const length = L * Dh;
      for (let i = 0; i < arrays.length; i++)
        for (let row = 0; row < R; row++) {
          const start = (i * R + row) * H * length;
          copyLines(data, start, { lines: H, length }, arrays[i]!, (row * H * S + filled[row]!) * Dh, S * Dh);
        }
      const shown = added ? readFloats("cachedDecoder", "mask", added) : new Float32Array(R * L);
      for (let row = 0; row < R; row++) {
        mask.set(shown.subarray(row * L, (row + 1) * L), row * S + filled[row]!);
        filled[row]! += L;
      }
    },
    truncate(counts) {
      for (let row = 0; row < R; row++) mask.fill(MASK_VALUE, row * S + counts[row]!, row * S + filled[row]!);
      filled.set(counts);
    },
  };
}

const inBuckets = (positions: number): number => BUCKET * Math.ceil(positions / BUCKET);

/**
 * Moves lines of `length` numbers apart that began `from` numbers from each other, so that they begin `to` from each other. What
 * lies between is left as it is: the mask hides it, and numbers that were in a cache are finite.
 */
function spreadLines(
  array: Numbers,
  { lines, from, to, length }: Readonly<Record<"lines" | "from" | "to" | "length", number>>,
): void {
  for (let line = lines - 1; line > 0; line--) array.copyWithin(line * to, line * from, line * from + length);
}

/** Copies lines of `length` numbers that follow each other from `start` on to places from `at` on, `apart` numbers from each other. */
function copyLines(
  from: Numbers,
  start: number,
  { lines, length }: { readonly lines: number; readonly length: number },
  to: Numbers,
  at: number,
  apart: number,
): void {
  // Those of a step are short, as wide as a head: a call for each would cost more than copying it.
  for (let line = 0, source = start; line < lines; line++) {
    const target = at + line * apart;
    for (let i = 0; i < length; i++, source++) to[target + i] = from[source]!;
  }
}
