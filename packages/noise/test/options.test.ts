import { optionsCall, testOptions } from "@tensorar/testing/options";
import { expect, test } from "vitest";
import { corruptWindows, noiseRates, slideWindows } from "../src/index";

const CODES = Int32Array.of(1, 2, 3);
const WINDOWS = Int32Array.of(1, 2, 2, 3);

testOptions({
  slideWindows: optionsCall({ batch: 1, tokens: 3, windowSize: 2, count: 2 }, (options) =>
    slideWindows(CODES, options),
  ),
  corruptWindows: optionsCall(
    { batch: 1, count: 2, windowSize: 2, vocabSize: 8, rates: [0, 0.5], seed: 1, step: 0, sampleOffset: 0 },
    (options) => corruptWindows(WINDOWS, options),
  ),
  "noiseRates of a custom schedule": optionsCall({ kind: "custom" as const, rates: [0, 1] }, (schedule) =>
    noiseRates(schedule, 2),
  ),
  "noiseRates of an exponential one": optionsCall({ kind: "exponential" as const, rate: 2 }, (schedule) =>
    noiseRates(schedule, 2),
  ),
});

test("what is missing is named", () => {
  expect(() => slideWindows(CODES, { batch: 1 } as never)).toThrow(
    "slideWindows: tokens, windowSize missing in the options; pass all of them",
  );
  expect(() => slideWindows(CODES, undefined as never)).toThrow(
    "slideWindows: options are null; pass an object with batch, tokens, windowSize",
  );
});
