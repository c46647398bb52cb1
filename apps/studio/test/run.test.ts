import { describe, expect, test } from "vitest";
import type { DrawnStep } from "../src/engine/protocol";
import { traceOf } from "../src/export/trace";
import { changedTokens, codesAt, draftsOf, flipAge, NONE, type Run, stateOf } from "../src/run";
import { DEFAULTS } from "../src/settings";

const [N, T, k] = [2, 6, 3];
const description = { tokens: T, windowSize: k, grid: [2, 3] } as const;

/** Step s draws for image i the codes 100 i + 10 s + entry, but those of token 4, which is 7 from its second draft on. */
function drawnAt(position: number): DrawnStep {
  const [codes, probabilities] = [new Int32Array(N * k).fill(NONE), new Float32Array(N * k)];
  for (let image = 0; image < N; image++)
    for (let entry = 0; entry < Math.min(k, T - position); entry++) {
      const isSteady = position + entry === 4 && entry < 2;
      codes[image * k + entry] = isSteady ? 7 : 100 * image + 10 * position + entry;
      probabilities[image * k + entry] = 1 / (1 + entry);
    }
  return { position, codes, probabilities };
}

const whole: Run = {
  id: 1,
  description: {
    ...description,
    vocabSize: 300,
    imageSize: 8,
    classes: [],
    noiseRates: [],
    blanks: false,
    conditions: { kind: "class", count: 1, none: 1 },
  },
  images: N,
  steps: Array.from({ length: T }, (_, position) => drawnAt(position)),
  notes: [],
};

test("the drafts of a token, first to newest, as far as a step had drawn them", () => {
  expect(draftsOf(whole, 1, 3, 5).map(({ code }) => code)).toEqual([112, 121, 130]);
  expect(draftsOf(whole, 1, 3, 2).map(({ code, step, depth }) => [code, step, depth])).toEqual([
    [112, 1, 0],
    [121, 2, 1],
  ]);
  expect(draftsOf(whole, 0, 0, 5)).toEqual([{ depth: 2, step: 0, code: 0, probability: 1 }]);
  expect(draftsOf(whole, 0, 5, 2)).toEqual([]);
});

describe("codes after a step", () => {
  test("at the newest depth: final ones, then the newest drafts", () => {
    expect([...codesAt(whole, 0, 2, k - 1)]).toEqual([0, 10, 20, 21, 22, NONE]);
    expect([...codesAt(whole, 0, 5, k - 1)]).toEqual([0, 10, 20, 30, 7, 50]);
  });

  test("at lower depths: drafts as they were, the first one where there was none so early", () => {
    expect([...codesAt(whole, 0, 5, 0)]).toEqual([0, 1, 2, 12, 22, 32]);
    expect([...codesAt(whole, 0, 5, 1)]).toEqual([0, 1, 11, 21, 7, 41]);
    expect([...codesAt(whole, 0, 2, 0)]).toEqual([0, 1, 2, 12, 22, NONE]);
  });
});

test("states, flips and their age", () => {
  expect(Array.from({ length: T }, (_, position) => stateOf(whole, position, 2))).toEqual([
    "final",
    "final",
    "final",
    "draft",
    "draft",
    "none",
  ]);
  expect(flipAge(whole, 0, 4, 3, 5)).toBe(0); // 22 became 7
  expect(flipAge(whole, 0, 4, 5, 5)).toBe(2); // and stayed
  expect(flipAge(whole, 0, 4, 5, 1)).toBeUndefined();
  expect(flipAge(whole, 0, 0, 5, 5)).toBeUndefined(); // was final at once
  expect(changedTokens(whole, 0, 5)).toEqual({ of: 5, changed: 5 });
});

test("the saved trace has every draft in its place", () => {
  const { refined } = traceOf(DEFAULTS, { refined: { ...whole, steps: whole.steps.slice(0, 3) } }) as {
    refined: { codes: number[][]; trace: number[][][]; probabilities: number[][][] };
  };
  expect(refined.codes[1]).toEqual([100, 110, 120, NONE, NONE, NONE]);
  expect(refined.trace[0]).toEqual([
    [NONE, NONE, 0],
    [NONE, 1, 10],
    [2, 11, 20],
    [12, 21, NONE],
    [22, NONE, NONE],
    [NONE, NONE, NONE],
  ]);
  expect(refined.probabilities[0]![3]).toEqual([1 / 3, 0.5, 0].map(Math.fround));
});
