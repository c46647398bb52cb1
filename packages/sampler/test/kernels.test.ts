import { createStream } from "@tensorar/noise";
import { afterEach, expect, test, vi } from "vitest";
import { createCategorical } from "../src";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

const everything = { temperature: 1, topK: 0, topP: 1 };

/** e^x as weights give it, of many exponents at once. */
function exponentials(exponents: readonly number[]): Float64Array {
  const logits = Float32Array.from([0, ...exponents]);
  return createCategorical(logits.length).weights(logits, 0, everything, "row").weights.slice(1);
}

test("weights differ from Math.exp by less than one part in 10^13", () => {
  const random = createStream(1, "exponents");
  const exponents = [0, -1e-30, -1e-9, -Math.LN2, -Math.LN2 / 128, -708, ...[1, 30, 700].map((x) => -x)];
  for (let i = 0; i < 100_000; i++) exponents.push(-708 * random.uniform() ** 4);
  const weights = exponentials(exponents);
  let worst = 0;
  for (const [i, x] of exponents.entries())
    worst = Math.max(worst, Math.abs(weights[i]! / Math.exp(Math.fround(x)) - 1));
  expect(worst).toBeLessThan(1e-13); // what the polynomial leaves out, and a few roundings
  expect(weights[0]).toBe(1);
});

test("weights are 0 where no normal number is small enough", () => {
  expect([...exponentials([-709, -1e4, -1e30, Number.NEGATIVE_INFINITY])]).toEqual([0, 0, 0, 0]);
});

test("weights never grow as logits fall", () => {
  const weights = exponentials(Array.from({ length: 300_000 }, (_, i) => -1e-5 * i));
  expect(weights.findIndex((weight, i) => i > 0 && weight > weights[i - 1]!)).toBe(-1);
});

test("rows of every length are read to their end, and no further", () => {
  const random = createStream(2, "lengths");
  for (let V = 1; V <= 35; V++) {
    const logits = Float32Array.from({ length: 3 * V }, () => -random.uniform());
    logits.fill(Number.NaN, 0, V).fill(Number.NaN, 2 * V);
    const categorical = createCategorical(V);
    for (const topP of [1, 1 - 1e-12]) {
      const { weights, total } = categorical.weights(logits, V, { ...everything, topP }, "row");
      const largest = Math.max(...logits.subarray(V, 2 * V));
      const expected = Float64Array.from(logits.subarray(V, 2 * V), (logit) => Math.exp(logit - largest));
      expect(weights).toHaveLength(V);
      for (const [i, weight] of expected.entries()) expect(weights[i]).toBeCloseTo(weight, 12);
      expect(total).toBeCloseTo(
        expected.reduce((sum, weight) => sum + weight),
        10,
      );
    }
    expect(categorical.sample(logits, V, everything, 1 - 2 ** -32, "row")).toBe(V - 1);
    expect(categorical.argmax(logits, V, "row")).toBe(
      logits.subarray(V, 2 * V).indexOf(Math.max(...logits.subarray(V, 2 * V))),
    );
  }
});

test("logits of -0 and 0 tie", () => {
  const logits = Float32Array.of(-1, 0, -0, -2, 0);
  const { weights } = createCategorical(5).weights(logits, 0, { ...everything, topK: 1 }, "row");
  expect(Array.from(weights)).toEqual([0, 1, 1, 0, 1]);
});

test("runtimes without WebAssembly, or without its SIMD, are told so", async () => {
  const create = async () => (await import("../src")).createCategorical(4);
  vi.stubGlobal("WebAssembly", undefined);
  await expect(create()).rejects.toThrow(/WebAssembly with SIMD: there is no WebAssembly; run it in Node 20/);
  const Module = class {
    constructor() {
      throw new Error("invalid value type");
    }
  };
  vi.stubGlobal("WebAssembly", { Module });
  await expect(create()).rejects.toThrow(/WebAssembly with SIMD: invalid value type; run it in Node 20/);
});
