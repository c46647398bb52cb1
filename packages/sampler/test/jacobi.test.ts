import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type GenerateOptions, generate } from "../src";
import { knownDecoder } from "./known-decoder";
import { TINY_FAMILIES } from "./tiny-families";

// Expected values: the codes of one position a step. Logits of both differ by rounding, here of double precision's sums in tfjs,
// so a draw would have to be closer than 1e-6 to differ: none of the fixed seeds has one.

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

async function finish<C>(decoder: Parameters<typeof generate<C>>[0], options: GenerateOptions<C>) {
  let last: { codes: number[]; trace: number[]; steps: number[]; probabilities: number[] } | undefined;
  const kept = { trace: true, probabilities: true } as const;
  for await (const { codes, trace, steps, probabilities } of generate(decoder, { ...options, ...kept }))
    last = { codes: [...codes], trace: [...trace], steps: [...steps], probabilities: [...probabilities!] };
  return last!;
}

const constant = { kind: "constant", scale: 1 } as const;
const cosine = { kind: "power-cosine", scale: 3, power: 1 } as const;
const interval = { kind: "interval", scale: 2, interval: 4 } as const;
const rates = [0, 0.4, 0.8];

/** Every draft policy, kind of guidance and filter with a plain model and with TensorAR, and both kinds of random numbers. */
const CASES: readonly (Partial<GenerateOptions> & { readonly windowSize: number; readonly parallel: number })[] = [
  { windowSize: 1, draws: "position", parallel: 4, guidance: cosine, topP: 0.9 },
  { windowSize: 1, draws: "step", parallel: 2, guidance: constant, topK: 5 },
  { windowSize: 3, draws: "position", parallel: 3, guidance: constant, drafts: { kind: "noise" } },
  { windowSize: 3, draws: "position", parallel: 4, guidance: constant, drafts: { kind: "blank" } },
  { windowSize: 3, draws: "step", parallel: 4, guidance: interval, topK: 5, drafts: { kind: "argmax" } },
  { windowSize: 3, draws: "position", parallel: 20, drafts: { kind: "renoise", rates } },
  { windowSize: 3, draws: "position", parallel: 5, guidance: cosine, drafts: { kind: "raw", temperature: [0.5, 1.5] } },
  { windowSize: 3, draws: "position", parallel: 4, drafts: { kind: "raw" }, leaveOneOut: { strength: 0.6, rates } },
];

/** Chained models of whole codes: entries drawn one after the other, in one position a step or several. */
describe("chained", () => {
  const [{ open }] = TINY_FAMILIES as [(typeof TINY_FAMILIES)[number]];

  test.each(CASES.filter(({ windowSize }) => windowSize > 1))(
    "codes and drafts are those of one position a step: %j",
    async ({ windowSize, parallel, ...sampling }) => {
      const { conditions, decoder } = open(windowSize, false, "chained");
      expect([decoder.chained, decoder.factors]).toEqual([true, undefined]);
      const options = { ...sampling, conditions, seed: 3 };
      const expected = await finish(decoder, options);
      const jacobi = await finish(open(windowSize, true, "chained").decoder, { ...options, parallel });
      expect(jacobi.codes).toEqual(expected.codes);
      expect(jacobi.trace).toEqual(expected.trace);
      for (const [at, each] of jacobi.probabilities.entries()) expect(each).toBeCloseTo(expected.probabilities[at]!, 4);
      expect(new Set(jacobi.codes).size).toBeGreaterThan(4);
    },
  );
});

describe.each(TINY_FAMILIES)("$name", ({ open }) => {
  test.each(CASES)(
    "codes and drafts are those of one position a step: %j",
    async ({ windowSize, parallel, ...sampling }) => {
      const { conditions, decoder } = open(windowSize, false);
      const leaveOneOut = decoder.factors ? undefined : sampling.leaveOneOut; // which takes whole tokens
      const options = { ...sampling, leaveOneOut, conditions, seed: 3 };
      const expected = await finish(decoder, options);
      const jacobi = await finish(open(windowSize, true).decoder, { ...options, parallel });
      expect(jacobi.codes).toEqual(expected.codes);
      expect(jacobi.trace).toEqual(expected.trace);
      // Rounding differs with the positions of a step.
      for (const [at, each] of jacobi.probabilities.entries()) expect(each).toBeCloseTo(expected.probabilities[at]!, 4);
      expect(new Set(jacobi.codes).size).toBeGreaterThan(4);
      expect(expected.steps).toEqual([9, 9, 9]);
      for (const steps of jacobi.steps) expect(steps).toBeLessThanOrEqual(9);
    },
  );

  test("a decoder of several positions also takes one a step", async () => {
    const sampling = { seed: 1, topK: 3 };
    const [one, several] = [open(3, false), open(3, true)];
    const expected = await finish(one.decoder, { ...sampling, conditions: one.conditions });
    expect(await finish(several.decoder, { ...sampling, conditions: several.conditions })).toEqual(expected);
  });
});

test("images advance at their own pace, each to the image that it is alone", async () => {
  const { conditions, decoder } = TINY_FAMILIES[0]!.open(1, true);
  const sampling = { seed: 9, topK: 2, draws: "position", parallel: 4 } as const;
  const all = [...conditions, ...conditions];
  const together = await finish(decoder, { ...sampling, conditions: all });
  expect(new Set(together.steps).size).toBeGreaterThan(1);
  for (const [image, condition] of all.entries()) {
    const alone = await finish(decoder, { ...sampling, conditions: [condition], firstIndex: image });
    expect(together.codes.slice(9 * image, 9 * (image + 1))).toEqual(alone.codes);
    expect(together.steps[image]).toBe(alone.steps[0]);
  }
});

describe("a model whose inputs do not matter", () => {
  const shape = { tokens: 7, windowSize: 2, vocabSize: 5 };
  const sequential = knownDecoder(shape, ({ position, depth, code }) => Math.sin(3 * code + position + depth));

  test("fixes as many positions as are fed, once drafts were drawn", async () => {
    const { decoder, fed } = parallelDecoder();
    const options = { conditions: [0], seed: 2, drafts: { kind: "noise" } } as const;
    const yielded: number[] = [];
    let steps: number[] = [];
    for await (const step of generate(decoder, { ...options, draws: "position", parallel: 3 })) {
      yielded.push(step.position);
      steps = [...step.steps];
    }
    // Token 0; then 3 positions of which the first is right, while guesses become right from left to right, one position ahead.
    expect(yielded.at(-1)).toBe(6);
    expect(steps).toEqual([yielded.length]);
    expect(yielded.length).toBeLessThan(7);
    expect(fed.map(({ length }) => length / 2)).toEqual(
      yielded.slice(0, -1).map((position) => Math.min(3, 6 - position)),
    );
  });

  /** The same decoder, which takes several positions: logits by position, whatever is fed. */
  function parallelDecoder() {
    const fed: Int32Array[] = [];
    const start: typeof sequential.start = () => {
      let committed = 0;
      /** Logits [positions, 2, 5] from a position on. */
      const from = (position: number, positions: number) =>
        Float32Array.from({ length: 10 * positions }, (_, i) => Math.sin(3 * (i % 5) + position + Math.floor(i / 10)));
      return {
        step: async () => from(0, 1),
        async verify(windows) {
          fed.push(windows.slice());
          return from(1 + committed, windows.length / 2);
        },
        commit(counts) {
          committed += counts[0]!;
        },
      };
    };
    return { decoder: { ...sequential, start }, fed };
  }
});

test("what can't be done is refused", async () => {
  const { conditions, decoder } = TINY_FAMILIES[0]!.open(1, false);
  await expect(finish(decoder, { conditions, parallel: 2 })).rejects.toThrow(/one position at a time; use parallel 1/);
  for (const parallel of [0, 1.5, Number.NaN])
    await expect(finish(decoder, { conditions, parallel })).rejects.toThrow(`parallel ${parallel} is out of range`);
  const draws = { draws: "token" } as unknown as { draws: "step" };
  await expect(finish(decoder, { conditions, ...draws })).rejects.toThrow('draws "token" are unknown; use "step"');
});
