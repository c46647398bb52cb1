import type { StepInputs, StepOutputs, TensorData } from "./cached-decoder";
import { TensorARError } from "./errors";

// R rows · H key heads · Dh head width · S slots held · L new slots

export interface CacheShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  /** What the step takes and returns; default float32. float16 is held as its bits. */
  readonly dtype?: "float32" | "float16";
}

/** Keys and values of all slots so far, in the layout that a step reads without rearranging. */
export interface KvCache {
  /** Slots that hold something. */
  filled(): number;
  /** Cache and mask for the next step. */
  inputs(): Pick<StepInputs, "mask" | "keys" | "values">;
  /** Stores the rows of the next L slots. @param mask [R, L]: what is added to their scores; 0 unless given */
  append(rows: Pick<StepOutputs, "keys" | "values">, mask?: TensorData): void;
  /** Forgets all slots from this one on. */
  truncate(filled: number): void;
}

const BUCKET = 64;
const HIDDEN = -1e9;

/** float32, or the bits of float16. */
type Numbers = Float32Array | Uint16Array;

export function createCache({ layers, heads: H, headDim: Dh, dtype = "float32" }: CacheShape, R: number): KvCache {
  let S = BUCKET;
  const zeros = (length: number): Numbers => (dtype === "float16" ? new Uint16Array(length) : new Float32Array(length));
  const empty = () => Array.from({ length: layers }, () => zeros(R * H * Dh * S));
  let keys = empty(); // [R, H, S, Dh]
  let values = empty(); // [R, H, S, Dh]
  let mask = new Float32Array(R * S).fill(HIDDEN); // [R, S]
  let filled = 0;

  const grow = (needed: number) => {
    const old = { S, keys, values, mask };
    S = BUCKET * Math.ceil(needed / BUCKET);
    [keys, values] = [empty(), empty()];
    for (let layer = 0; layer < layers; layer++) {
      copyLines(old.keys[layer]!, old.S * Dh, keys[layer]!, S * Dh);
      copyLines(old.values[layer]!, old.S * Dh, values[layer]!, S * Dh);
    }
    mask = new Float32Array(R * S).fill(HIDDEN);
    copyLines(old.mask, old.S, mask, S);
  };

  const cached =
    (shape: readonly number[]) =>
    (data: Numbers): TensorData => ({ dtype, shape, data });
  return {
    filled: () => filled,
    inputs: () => ({
      mask: { dtype: "float32", shape: [R, S], data: mask },
      keys: keys.map(cached([R, H, S, Dh])),
      values: values.map(cached([R, H, S, Dh])),
    }),
    append(rows, added) {
      const [{ dtype: given, shape }] = rows.keys as [TensorData];
      if (given !== dtype)
        throw new TensorARError(
          `cachedDecoder: the step returns rows in ${given}, the cache is ${dtype}; set cache.dtype`,
        );
      const L = shape[2]!;
      if (filled + L > S) grow(filled + L);
      for (let layer = 0; layer < layers; layer++) {
        copyLines(rows.keys[layer]!.data as Numbers, L * Dh, keys[layer]!.subarray(filled * Dh), S * Dh);
        copyLines(rows.values[layer]!.data as Numbers, L * Dh, values[layer]!.subarray(filled * Dh), S * Dh);
      }
      const shown = added ? (added.data as Float32Array) : new Float32Array(R * L);
      copyLines(shown, L, mask.subarray(filled), S);
      filled += L;
    },
    truncate(count) {
      for (let row = 0; row < R; row++) mask.fill(HIDDEN, row * S + count, row * S + filled);
      filled = count;
    },
  };
}

/** Copies every line of `length` numbers to the start of a longer line. */
function copyLines(from: Numbers, length: number, to: Numbers, longer: number): void {
  // Those of a step are short, as wide as a head: a call for each would cost more than copying it.
  for (let line = 0, at = 0; at < from.length; line++) {
    const start = line * longer;
    for (let i = 0; i < length; i++, at++) to[start + i] = from[at]!;
  }
}
