import { describe, expect, test } from "vitest";
import { createStream, PAD, type SlideOptions, slideWindows, TensorARError } from "../src/index";

function randomCodes(length: number, seed: number): Int32Array {
  const stream = createStream(seed, "codes");
  return Int32Array.from({ length }, () => stream.below(1000));
}

describe("slideWindows", () => {
  test("of five tokens by three", () => {
    const windows = slideWindows(Int32Array.of(10, 11, 12, 13, 14), { batch: 1, tokens: 5, windowSize: 3 });
    expect(Array.from(windows)).toEqual([10, 11, 12, 11, 12, 13, 12, 13, 14, 13, 14, PAD, 14, PAD, PAD]);
  });

  test("entry j of window i is token i + j, or PAD past the end, for many sizes", () => {
    const sizes = createStream(1, "sizes");
    for (let trial = 0; trial < 200; trial++) {
      const [batch, tokens] = [sizes.below(4), 1 + sizes.below(20)];
      const [windowSize, count] = [1 + sizes.below(tokens), sizes.below(tokens + 1)];
      const codes = randomCodes(batch * tokens, trial);
      const windows = slideWindows(codes, { batch, tokens, windowSize, count });
      expect(windows.length).toBe(batch * count * windowSize);
      windows.forEach((code, at) => {
        const j = at % windowSize;
        const i = Math.floor(at / windowSize) % count;
        const b = Math.floor(at / windowSize / count);
        expect(code).toBe(i + j < tokens ? codes[b * tokens + i + j] : PAD);
      });
    }
  });

  test("k = 1 is the sequence itself", () => {
    const codes = randomCodes(24, 2);
    expect(slideWindows(codes, { batch: 2, tokens: 12, windowSize: 1 })).toEqual(codes);
  });

  test("k = T begins with the whole sequence and ends with its last token", () => {
    const codes = randomCodes(6, 3);
    const windows = slideWindows(codes, { batch: 1, tokens: 6, windowSize: 6 });
    expect(windows.slice(0, 6)).toEqual(codes);
    expect(Array.from(windows.slice(-6))).toEqual([codes[5], PAD, PAD, PAD, PAD, PAD]);
    expect(windows.filter((code) => code === PAD).length).toBe(15);
  });

  test("a single token has no input windows", () => {
    expect(slideWindows(Int32Array.of(1), { batch: 1, tokens: 1, windowSize: 1, count: 0 }).length).toBe(0);
  });

  test("leaves its input as it was", () => {
    const codes = randomCodes(8, 4);
    const before = codes.slice();
    slideWindows(codes, { batch: 2, tokens: 4, windowSize: 2 }).fill(7);
    expect(codes).toEqual(before);
  });

  test.each<[string, Partial<SlideOptions>, RegExp]>([
    [
      "a window beyond the sequence",
      { windowSize: 5 },
      /windowSize = 5 exceeds the 4 tokens of a sequence; .* at most 4/,
    ],
    ["a window of 0", { windowSize: 0 }, /windowSize = 0/],
    ["more windows than tokens", { count: 5 }, /count = 5 .* from 0 to 4/],
    ["no tokens", { tokens: 0 }, /tokens = 0/],
    ["a batch that does not fit", { batch: 3 }, /codes holds 8 entries, not 12; check batch = 3, tokens = 4/],
  ])("%s is refused", (_, options, message) => {
    const call = () => slideWindows(new Int32Array(8), { batch: 2, tokens: 4, windowSize: 2, ...options });
    expect(call).toThrow(TensorARError);
    expect(call).toThrow(message);
  });

  test("a negative code is refused, because PAD is one", () => {
    const call = () => slideWindows(Int32Array.of(1, -1), { batch: 1, tokens: 2, windowSize: 1 });
    expect(call).toThrow(/codes\[1\] = -1 is negative/);
  });
});
