import type { StepInputs, StepOutputs, TensorData } from "./cached-decoder";

// R rows · H key heads · Dh head width · S slots held

export interface CacheShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
}

/** Keys and values of all slots so far, in the layout that a step reads without rearranging. */
export interface KvCache {
  /** Cache and mask for the step at `slot`: slots before it are filled. */
  inputs(slot: number): Pick<StepInputs, "mask" | "keys" | "values">;
  /** Stores the rows that the step at `slot` returned. */
  write(slot: number, rows: Pick<StepOutputs, "keys" | "values">): void;
}

const BUCKET = 64;
const HIDDEN = -1e9;

/** @param slots most slots that will ever be filled */
export function createCache({ layers, heads: H, headDim: Dh }: CacheShape, R: number, slots: number): KvCache {
  let S = capacity(0, slots);
  const empty = () => Array.from({ length: layers }, () => new Float32Array(R * H * Dh * S));
  let keys = empty(); // [R, H, Dh, S]
  let values = empty(); // [R, H, S, Dh]
  let mask = new Float32Array(R * S).fill(HIDDEN); // [R, S]
  let open = 0; // slots that the mask shows

  const grow = (needed: number) => {
    const old = { S, keys, values, mask };
    S = capacity(needed, slots);
    [keys, values] = [empty(), empty()];
    for (const [layer, from] of old.keys.entries()) copyLines(from, old.S, keys[layer]!, S);
    for (const [layer, from] of old.values.entries()) copyLines(from, old.S * Dh, values[layer]!, S * Dh);
    mask = new Float32Array(R * S).fill(HIDDEN);
    copyLines(old.mask, old.S, mask, S);
  };

  const tensor =
    (shape: readonly number[]) =>
    (data: Float32Array): TensorData => ({ dtype: "float32", shape, data });
  return {
    inputs(slot) {
      if (slot > S) grow(slot);
      for (; open < slot; open++) for (let row = 0; row < R; row++) mask[row * S + open] = 0;
      return {
        mask: tensor([R, S])(mask),
        keys: keys.map(tensor([R, H, Dh, S])),
        values: values.map(tensor([R, H, S, Dh])),
      };
    },
    write(slot, rows) {
      if (slot >= S) grow(slot + 1);
      rows.keys.forEach(({ data }, layer) => {
        const to = keys[layer]!;
        for (let line = 0, at = slot; line < data.length; line++, at += S) to[at] = data[line]!;
      });
      rows.values.forEach(({ data }, layer) => {
        const to = values[layer]!;
        for (let head = 0; head < R * H; head++)
          to.set(data.subarray(head * Dh, (head + 1) * Dh), (head * S + slot) * Dh);
      });
    },
  };
}

/** Slots to hold so that `needed` fit: whole buckets, at least one slot and never more than will be filled. */
const capacity = (needed: number, slots: number): number =>
  Math.max(1, Math.min(slots, BUCKET * Math.max(1, Math.ceil(needed / BUCKET))));

/** Copies every line of `length` numbers to the start of a longer line. */
function copyLines(from: Float32Array, length: number, to: Float32Array, longer: number): void {
  for (let line = 0; line * length < from.length; line++)
    to.set(from.subarray(line * length, (line + 1) * length), line * longer);
}
