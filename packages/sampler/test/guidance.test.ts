import { expect, test } from "vitest";
import { type Guidance, generate, scaleAt } from "../src";
import { knownDecoder } from "./known-decoder";

test("a constant scale is the same at every step", () => {
  expect([0, 3, 15].map((step) => scaleAt({ kind: "constant", scale: 4 }, step, 16))).toEqual([4, 4, 4]);
});

test("an interval guides the prefill and decode steps up to its end", () => {
  const scales = (interval: number) =>
    [0, 1, 2, 3, 4].map((step) => scaleAt({ kind: "interval", scale: 3, interval }, step, 5));
  expect(scales(-1)).toEqual([3, 3, 3, 3, 3]);
  expect(scales(0)).toEqual([3, 3, 1, 1, 1]);
  expect(scales(2)).toEqual([3, 3, 3, 3, 1]);
});

test("the power-cosine ramp rises from 1 to the scale", () => {
  const ramp = (step: number, power = 2) => scaleAt({ kind: "power-cosine", scale: 5, power }, step, 8);
  expect(ramp(0)).toBe(1);
  expect(ramp(8)).toBeCloseTo(5, 12);
  expect(ramp(4, 1)).toBeCloseTo(3, 12); // the middle of a cosine
  // sin²(x/2) = (1 - cos x) / 2
  for (let step = 0; step <= 8; step++) {
    expect(ramp(step)).toBeCloseTo(1 + 4 * Math.sin((Math.PI * (step / 8) ** 2) / 2) ** 2, 12);
  }
});

test("logits are mixed with those of the unconditional class, for all entries", async () => {
  // Conditional logits favour code 1, the difference to the unconditional ones favours code 2.
  const conditional = [
    [0, 2, 1.5, 0],
    [0, 0, 2, 1.9],
  ];
  const unconditional = [
    [0, 2, 0, 0],
    [0, 0, 2, 0],
  ];
  const decoder = knownDecoder(
    { tokens: 2, windowSize: 2, vocabSize: 4 },
    ({ condition, depth, code }) => (condition === 99 ? unconditional : conditional)[depth]![code]!,
  );
  const codes = async (guidance: Guidance) => {
    const options = { seed: 0, temperature: 1, topK: 1, topP: 1, drafts: { kind: "argmax" }, trace: true } as const;
    const loop = generate(decoder, { ...options, conditions: Int32Array.of(3), guidance });
    for (;;) {
      const { done, value } = await loop.next();
      if (done) return [value.codes[0], value.trace![2]]; // final code of token 0, first draft of token 1
    }
  };
  expect(await codes({ kind: "constant", scale: 1 })).toEqual([1, 2]);
  expect(await codes({ kind: "constant", scale: 2 })).toEqual([2, 3]); // 2 < 0 + 1.5 · 2, 2 < 1.9 · 2
});

test("scales and intervals that mean nothing are refused", async () => {
  const decoder = knownDecoder({ tokens: 1, windowSize: 1, vocabSize: 2 }, () => 0);
  const run = (guidance: Guidance) =>
    generate(decoder, {
      conditions: Int32Array.of(0),
      seed: 0,
      temperature: 1,
      topK: 0,
      topP: 1,
      guidance,
      drafts: { kind: "raw" },
    }).next();
  await expect(run({ kind: "constant", scale: Number.NaN })).rejects.toThrow(/guidance scale NaN/);
  await expect(run({ kind: "constant", scale: 0.5 })).rejects.toThrow(
    "guidance scale 0.5 is out of range; use 1 for none, or more",
  );
  await expect(run({ kind: "constant", scale: -1 })).rejects.toThrow(/guidance scale -1/);
  await expect(run({ kind: "interval", scale: 2, interval: 1.5 })).rejects.toThrow(/interval 1.5/);
  await expect(run({ kind: "power-cosine", scale: 2, power: 0 })).rejects.toThrow(/power 0/);
});
