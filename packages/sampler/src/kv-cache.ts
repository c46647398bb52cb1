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
export const createCache = (shape: CacheShape, R: number, positions: number): KvCache =>
  new BucketedCache(shape, R, positions);

/** Positions come in buckets, so that a step's inputs seldom change their sizes. */
class BucketedCache implements KvCache {
  private readonly layers: number;
  private readonly heads: number;
  private readonly headDim: number;
  private readonly dtype: "float32" | "float16";
  /** S, of the inputs. */
  private length = BUCKET;
  /** Positions that the arrays have room for. */
  private room: number;
  /** Keys, then values, of each layer: lines of `room` positions, of which the first S stand close together. */
  private readonly arrays: Numbers[];
  /** [R, S] */
  private mask: Float32Array;
  private readonly counts: Int32Array;
  private current: Pick<StepInputs, "mask" | "keys" | "values">;

  constructor(
    { layers, heads, headDim, dtype = "float32" }: CacheShape,
    private readonly R: number,
    private readonly expected: number,
  ) {
    this.layers = layers;
    this.heads = heads;
    this.headDim = headDim;
    this.dtype = dtype;
    this.room = inBuckets(expected);
    this.arrays = Array.from({ length: 2 * layers }, () => this.zeros());
    this.mask = new Float32Array(R * this.length).fill(MASK_VALUE);
    this.counts = new Int32Array(R);
    this.current = this.views();
  }

  filled(): Int32Array {
    return this.counts;
  }

  inputs(): Pick<StepInputs, "mask" | "keys" | "values"> {
    return this.current;
  }

  append(rows: OutputTensor | undefined, added?: OutputTensor): void {
    const { data, positions: L } = this.checked(rows);
    const needed = Math.max(...this.counts) + L;
    if (needed > this.length) this.grow(needed);
    const { R, heads: H, headDim: Dh, length: S } = this;
    const length = L * Dh;
    for (let i = 0; i < this.arrays.length; i++)
      for (let row = 0; row < R; row++) {
        const start = (i * R + row) * H * length;
        const place = (row * H * S + this.counts[row]!) * Dh;
        copyLines(data, start, { lines: H, length }, this.arrays[i]!, place, S * Dh);
      }
    const shown = added ? readFloats("cachedDecoder", "mask", added) : new Float32Array(R * L);
    for (let row = 0; row < R; row++) {
      this.mask.set(shown.subarray(row * L, (row + 1) * L), row * S + this.counts[row]!);
      this.counts[row]! += L;
    }
  }

  truncate(counts: Int32Array): void {
    for (let row = 0; row < this.R; row++) {
      const first = row * this.length;
      this.mask.fill(MASK_VALUE, first + counts[row]!, first + this.counts[row]!);
    }
    this.counts.set(counts);
  }

  /** @throws TensorARError where the new positions are none, or not of this cache's sizes and type */
  private checked(rows: OutputTensor | undefined): { readonly data: Numbers; readonly positions: number } {
    const { R, layers, heads, headDim, dtype } = this;
    if (rows?.dtype !== dtype || !(rows.data instanceof (dtype === "float16" ? Uint16Array : Float32Array)))
      throw new TensorARError(
        rows
          ? `cachedDecoder: the step returns rows in ${rows.dtype}, the cache is ${dtype}; set cache.dtype`
          : 'cachedDecoder: the step returns no "rows"; use packRows of @tensorar/model, or export the model again',
      );
    const positions = rows.shape[4]!;
    const wanted = [2, layers, R, heads, positions, headDim];
    if (String(rows.shape) !== String(wanted))
      throw new TensorARError(
        `cachedDecoder: the step returns rows [${rows.shape.join(", ")}]; [${wanted.join(", ")}] fit its cache`,
      );
    return { data: rows.data, positions };
  }

  /** Makes S as large as needed. */
  private grow(needed: number): void {
    const { R, headDim: Dh, length: S } = this;
    const lines = R * this.heads;
    const longer = inBuckets(needed);
    if (longer > this.room) {
      this.room = longer + inBuckets(this.expected);
      for (const [i, array] of this.arrays.entries()) {
        this.arrays[i] = this.zeros();
        this.arrays[i]!.set(array.subarray(0, lines * S * Dh));
      }
    }
    const length = Math.max(...this.counts) * Dh;
    for (const array of this.arrays) spreadLines(array, { lines, from: S * Dh, to: longer * Dh, length });
    const mask = new Float32Array(R * longer).fill(MASK_VALUE);
    copyLines(this.mask, 0, { lines: R, length: S }, mask, 0, longer);
    this.mask = mask;
    this.length = longer;
    this.current = this.views();
  }

  /** The arrays and the mask as inputs of a step. */
  private views(): Pick<StepInputs, "mask" | "keys" | "values"> {
    const { R, layers, heads, headDim, dtype, length } = this;
    const shape = [R, heads, length, headDim];
    const size = R * heads * length * headDim;
    const tensors = this.arrays.map((array): StepTensor => ({ dtype, shape, data: array.subarray(0, size) }));
    return {
      mask: { dtype: "float32", shape: [R, length], data: this.mask },
      keys: tensors.slice(0, layers),
      values: tensors.slice(layers),
    };
  }

  /** @throws TensorARError where there is no memory for it */
  private zeros(): Numbers {
    const { R, layers, room, dtype } = this;
    const length = R * this.heads * room * this.headDim;
    try {
      return dtype === "float16" ? new Uint16Array(length) : new Float32Array(length);
    } catch (cause) {
      throw new TensorARError(
        `cachedDecoder: no memory for a cache of ${R} rows and ${room} positions, ${2 * layers} arrays of ${length} numbers; make ` +
          "fewer images at a time",
        { cause },
      );
    }
  }
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
