import { createStream } from "@tensorar/noise";
import { expect, test } from "vitest";
import type { StepTensor } from "../src";
import { createCache } from "../src/kv-cache";

const [layers, heads, headDim, R] = [2, 3, 4, 2];

/** Rows [2, layers, R, heads, L, headDim]: number i of position s of line n is their own. @param first [R]: position of the first of them */
function rowsOf(
  first: ArrayLike<number>,
  L: number,
): { rows: StepTensor; numberAt(line: number, position: number, i: number): number } {
  const numberAt = (line: number, position: number, i: number) => 1 + line + 100 * (position + 1000 * i);
  const lines = 2 * layers * R * heads;
  const data = Float32Array.from({ length: lines * L * headDim }, (_, at) => {
    const line = Math.floor(at / (L * headDim));
    const position = first[Math.floor(line / heads) % R]! + (Math.floor(at / headDim) % L);
    return numberAt(line, position, at % headDim);
  });
  return { rows: { dtype: "float32", shape: [2, layers, R, heads, L, headDim], data }, numberAt };
}

test("every position is where the shape says, however the cache grows, also past what was set aside", () => {
  const random = createStream(4, "appends");
  const cache = createCache({ layers, heads, headDim }, R, 70);
  const filled = new Int32Array(R);
  let [growths, S] = [0, 0];
  while (Math.max(...filled) < 600) {
    const L = 1 + random.below(90);
    cache.append(rowsOf(filled, L).rows);
    for (const row of filled.keys()) filled[row]! += L;
    if (random.uniform() < 0.3) {
      for (const row of filled.keys()) filled[row]! -= random.below(Math.min(filled[row]!, 100));
      cache.truncate(filled);
    }
    expect([...cache.filled()]).toEqual([...filled]);
    const { mask, keys, values } = cache.inputs();
    if (mask.shape[1]! > S) growths++;
    S = mask.shape[1]!;
    expect(mask.shape).toEqual([R, S]);
    for (let i = 0; i < R * S; i++)
      if (mask.data[i] !== (i % S < filled[Math.floor(i / S)]! ? 0 : -1e9)) throw new Error(`mask ${i}`);
    const { numberAt } = rowsOf([], 0);
    for (const [array, { shape, data }] of [...keys, ...values].entries()) {
      expect(shape).toEqual([R, heads, S, headDim]);
      expect(data).toHaveLength(R * heads * S * headDim);
      for (let line = 0; line < R * heads; line++)
        for (let position = 0; position < filled[Math.floor(line / heads)]!; position++)
          for (let i = 0; i < headDim; i++)
            if (data[(line * S + position) * headDim + i] !== numberAt(array * R * heads + line, position, i))
              throw new Error(`array ${array}, line ${line}, position ${position}, number ${i}`);
    }
    expect(cache.inputs()).toBe(cache.inputs());
  }
  expect(growths).toBeGreaterThan(4);
});

test("rows that are missing, of another shape or another type are refused with what would fit", () => {
  const cache = createCache({ layers, heads, headDim }, R, 70);
  const { rows } = rowsOf([0, 0], 1);
  expect(() => cache.append(undefined as never)).toThrow(/the step returns no "rows"; use packRows/);
  expect(() => cache.append({ ...rows, shape: [2, 1, R, heads, 2, headDim] })).toThrow(
    /rows \[2, 1, 2, 3, 2, 4\]; \[2, 2, 2, 3, 2, 4\] fit/,
  );
  expect(() => cache.append({ ...rows, dtype: "float16" })).toThrow(/rows in float16, the cache is float32/);
  expect(() => createCache({ layers, heads: 2 ** 16, headDim: 2 ** 10 }, 2 ** 10, 64)).toThrow(
    /no memory for a cache of 1024 rows and 64 positions, .* make fewer images at a time/,
  );
});
