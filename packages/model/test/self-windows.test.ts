import "@tensorflow/tfjs";
import { createStream, slideWindows } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sampleFromLogits, selfWindows } from "../src";
import { CachedDecode } from "./cached-decode";
import { randomCodes, randomTensor, TINY, tinyModel } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Smallest code whose cumulative probability exceeds `uniform`, in float64; and how near to a boundary that is. */
function invert(logits: ArrayLike<number>, uniform: number): { code: number; margin: number } {
  const weights = Array.from(logits, (x) => Math.exp(x));
  const total = weights.reduce((a, b) => a + b);
  let sum = 0;
  let margin = Number.POSITIVE_INFINITY;
  let code = -1;
  for (const [i, weight] of weights.entries()) {
    sum += weight / total;
    margin = Math.min(margin, Math.abs(sum - uniform));
    if (code < 0 && sum > uniform) code = i;
  }
  return { code, margin };
}

describe("sampleFromLogits", () => {
  test("inverts the cumulative distribution", () => {
    const [N, V] = [300, 11];
    const logits = randomTensor("logits", [N, V], 2);
    const stream = createStream(3, "uniforms");
    const uniforms = Float32Array.from({ length: N }, () => stream.uniform());
    const codes = sampleFromLogits(logits, tf.tensor1d(uniforms)).dataSync();
    let clear = 0;
    for (let n = 0; n < N; n++) {
      const { code, margin } = invert(logits.dataSync().subarray(n * V, (n + 1) * V), uniforms[n]!);
      if (margin < 1e-5) continue; // float32 sums may fall on either side
      expect(codes[n]).toBe(code);
      clear++;
    }
    expect(clear).toBeGreaterThan(0.95 * N);
  });

  test("never draws a code without probability, at either end", () => {
    const logits = tf.tensor2d([[-1e9, 0, 0.3, 0.1, -1e9]]);
    const draw = (uniform: number) => sampleFromLogits(logits, tf.tensor1d([uniform])).dataSync()[0];
    expect(draw(0)).toBe(1);
    expect(draw(1 - 2 ** -24)).toBe(3);
  });

  test("uniforms must have the shape of the rows", () => {
    expect(() => sampleFromLogits(tf.zeros([2, 3, 5]), tf.zeros([2, 4]))).toThrow(/uniforms has shape \[2, 4\]/);
  });
});

describe("selfWindows", () => {
  const [R, T, V, k] = [2, TINY.block_size, TINY.vocab_size, 4];
  const inputs = () => {
    const windows = slideWindows(randomCodes("truth", [R, T], V), { batch: R, tokens: T, windowSize: k, count: T - 1 });
    const stream = createStream(4, "uniforms");
    const uniforms = Float32Array.from({ length: R * T * k }, () => stream.uniform());
    return {
      condition: tf.tensor1d([1, 2], "int32"),
      windows: tf.tensor(windows, [R, T - 1, k], "int32"),
      uniforms: tf.tensor(uniforms, [R, T, k]),
    };
  };

  test("drafts of a window come from the position that predicts it; entry 0 and PAD stay", () => {
    const { model, params } = tinyModel({ windowSize: k });
    const { condition, windows, uniforms } = inputs();
    const actual = selfWindows(model, params, { condition, windows, uniforms });
    expect([actual.dtype, ...actual.shape]).toEqual(["int32", R, T - 1, k]);
    const [before, after] = [windows.arraySync(), actual.arraySync()] as number[][][][] as unknown as number[][][][];
    // The generation loop's own computation: decode position by position, then draw entries 1 … k-1.
    const decode = new CachedDecode(model, params, R, T);
    let changed = 0;
    for (let position = 0; position < T - 1; position++) {
      const previous = tf.squeeze(tf.slice(windows, [0, Math.max(0, position - 1), 0], [-1, 1, -1]), [1]);
      const logits = decode.step(condition, previous);
      const numbers = tf.squeeze(tf.slice(uniforms, [0, position, 0], [-1, 1, -1]), [1]);
      const drawn = sampleFromLogits(logits, numbers).arraySync() as number[][];
      for (let row = 0; row < R; row++) {
        const kept = before![row]![position]! as unknown as number[];
        const expected = kept.map((code, j) => (j === 0 || code < 0 ? code : drawn[row]![j]!));
        expect(after![row]![position]).toEqual(expected);
        changed += expected.filter((code, j) => code !== kept[j]).length;
      }
    }
    expect(changed).toBeGreaterThan(0);
  });

  test("window 1 has no drafts", () => {
    const { model, params } = tinyModel({ windowSize: 1 });
    const windows = tf.tensor(randomCodes("one", [R, T - 1, 1], V), [R, T - 1, 1], "int32");
    const actual = selfWindows(model, params, { ...inputs(), windows });
    expect([...actual.dataSync()]).toEqual([...windows.dataSync()]);
  });
});
