import { expect, test } from "vitest";
import { memoryFor, memoryHere, tooLarge } from "../src/memory";
import { DEFAULTS, fromFragment, type Settings, toFragment } from "../src/settings";

test("a setting comes back from its fragment", () => {
  const setting: Settings = {
    model: "emoji-finetuned",
    class: "noto/food-drink",
    prompt: "a red heart & 100 %",
    seed: 4294967295,
    scale: 3.5,
    temperature: 0.7,
    drafts: "renoise",
    trust: 0.25,
    draws: "step",
    count: 16,
    base: false,
    device: "wasm",
  };
  expect(fromFragment(`#${toFragment(setting)}`)).toEqual(setting);
  expect(fromFragment(toFragment(DEFAULTS))).toEqual(DEFAULTS);
});

test("what is missing or out of range is as by default", () => {
  expect(fromFragment("")).toEqual(DEFAULTS);
  const wrong = "#seed=-1&scale=0&temperature=x&drafts=some&trust=2&draws=&count=3&base=maybe&device=cuda";
  expect(fromFragment(wrong)).toEqual(DEFAULTS);
  expect(fromFragment("#seed=2.7").seed).toBe(2);
});

/** LlamaGen-B for 256 × 256 pixels in 4 bits. */
const manifest = {
  cache: { layers: 12, heads: 12, headDim: 64 },
  tokens: 256,
  conditionPositions: 1,
  imageSize: 256,
};

test("memory of an export: weights twice, the cache, and one picture", () => {
  const sizes = new Map([
    ["decoder.onnx.data", 120e6],
    ["image-decoder.onnx", 200e6],
    ["generation.onnx", 500e6], // is not read
  ]);
  const cache = 2 * 2 * (2 * 12 * 12 * 64 * 257 * 4); // keys and values of 2 rows, here and in the runtime
  expect(memoryFor(manifest, sizes)).toBe(2 * 320e6 + cache + 65536 * 2700);
});

test("what is too large is said with both figures", () => {
  expect(memoryHere(undefined)).toBe(2 ** 32);
  expect(memoryHere(8)).toBe(2 ** 32);
  expect(memoryHere(2)).toBe(1.5 * 2 ** 30);
  expect(tooLarge(1e9, memoryHere(2))).toBeUndefined();
  expect(tooLarge(3e9, memoryHere(2))).toBe(
    "This model needs about 3.0 GB of memory, and a page has at most 1.6 GB on this device.",
  );
});
