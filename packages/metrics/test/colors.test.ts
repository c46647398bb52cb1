import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { colorClassifier, colorPrompts, embedColors, type FeatureSet, GENEVAL_COLORS } from "../src";
import { userExtractor, userTextEncoder } from "../src/features";
import { cropImage } from "../src/geneval/colors";
import { drawRectangles, RGB, tinyImageEncoder, tinyTextEncoder } from "./tiny-detector";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

// Words of the prompts as tokens: 0 fills up, 1 is any other word, 2 … are colours.
const TABLE = [[0.3, 0.3, 0.3], [0, 0, 0], ...GENEVAL_COLORS.map((color) => RGB[color]!.map((value) => value / 127.5 - 1))]; // biome-ignore format: one row
const tokenize = (text: string): number[] =>
  text.split(/[ -]/).map((word) => 2 + (GENEVAL_COLORS as readonly string[]).indexOf(word));
const LENGTH = 8;

const textEncoder = (options = {}) =>
  userTextEncoder({
    runtime,
    model: tinyTextEncoder(TABLE, LENGTH),
    output: "text_embeds",
    tokenize,
    length: LENGTH,
    pad: 0,
    threads: 1,
    ...options,
  });

test("prompts: three descriptions of each of ten colours", () => {
  const prompts = colorPrompts("sports ball");
  expect(prompts).toHaveLength(30);
  expect(prompts.slice(3, 6)).toEqual([
    ...["a photo of a orange sports ball", "a photo of a orange-colored sports ball", "a photo of a orange object"],
  ]);
  expect(GENEVAL_COLORS).toHaveLength(10);
});

test("every colour is recognised in its box, whatever is around it", async () => {
  const encoder = await textEncoder();
  const extractor = await userExtractor({
    runtime,
    model: tinyImageEncoder([8, 8]),
    output: "image_embeds",
    threads: 1,
    preprocessing: {
      size: [8, 8],
      resize: { filter: "bicubic" },
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      layout: "NCHW",
    },
  });
  const things = GENEVAL_COLORS.map((color, i) => ({ color, box: [i * 10, 5, i * 10 + 8, 25] as const }));
  const image = { data: drawRectangles(30, 100, things), count: 1, height: 30, width: 100 };
  const classify = colorClassifier(image, extractor.extract, embedColors(encoder.embed));
  const objects = things.map(({ box }) => ({ class: "car", box, score: 1 }));
  expect(await classify(objects, "car")).toEqual(GENEVAL_COLORS);
  await Promise.all([encoder.dispose(), extractor.dispose()]);
});

test("a class is embedded once; its three directions are averaged", async () => {
  const asked: string[][] = [];
  const colors = embedColors(async (texts) => {
    asked.push([...texts]);
    // Three prompts of a colour point along the three axes, at lengths that must not matter.
    return { data: Float32Array.from(texts.flatMap((_, i) => [0, 1, 2].map((axis) => (axis === i % 3 ? i + 1 : 0)))), count: texts.length, dims: 3 }; // biome-ignore format: one row
  });
  const [first, again] = [await colors("cat"), await colors("cat")];
  expect(again).toBe(first);
  expect(asked).toEqual([colorPrompts("cat")]);
  expect([first.count, first.dims]).toEqual([10, 3]);
  for (const value of first.data) expect(value).toBeCloseTo(1 / 3, 12);
});

test("crops: to the nearest pixel, inside the image, at least one pixel", () => {
  const image = { data: Uint8Array.from({ length: 48 }, (_, i) => i), count: 1, height: 4, width: 4 };
  const crop = (...box: [number, number, number, number]) => cropImage(image, box);
  expect(crop(0.6, 1.2, 2.4, 2.6)).toEqual({ data: Uint8Array.of(15, 16, 17, 27, 28, 29), count: 1, height: 2, width: 1 }); // biome-ignore format: one row
  expect(crop(-5, -5, 50, 50)).toEqual(image);
  expect(crop(2, 2, 2, 2).data).toEqual(image.data.slice(30, 33));
  expect(crop(4, 4, 4, 4).data).toEqual(image.data.slice(45)); // beyond the last pixel
});

describe("refuses", () => {
  const image = { data: new Uint8Array(12), count: 1, height: 2, width: 2 };
  const object = { class: "a", box: [0, 0, 2, 2] as const, score: 1 };
  const features = (count: number, dims: number, value = 1): FeatureSet => ({
    data: new Float32Array(count * dims).fill(value),
    count,
    dims,
  });
  const ask = (seen: FeatureSet, texts: FeatureSet) =>
    colorClassifier(image, async () => seen, async () => texts)([object], "a"); // biome-ignore format: one row

  test("embeddings that do not fit", async () => {
    await expect(ask(features(1, 2), features(10, 3))).rejects.toThrow(
      /2 wide, those of colours 3; take both from one/,
    );
    await expect(ask(features(1, 3), features(9, 3))).rejects.toThrow(/9 "a" embeddings for 10/);
    await expect(ask(features(1, 3, 0), features(10, 3))).rejects.toThrow(/image embedding 0 has length 0/);
    await expect(ask(features(1, 3, Number.NaN), features(10, 3))).rejects.toThrow(/image embeddings holds NaN/);
    await expect(embedColors(async () => features(1, 3))("a")).rejects.toThrow(/1 text embeddings for 30/);
  });

  test("texts and encoders that do not fit", async () => {
    const encoder = await textEncoder();
    const long = "a photo of a red and a blue car";
    await expect(encoder.embed([long])).rejects.toThrow(/"a photo of .*" has 9 tokens, more than length = 8/);
    await encoder.dispose();
    await expect(textEncoder({ length: 9 })).rejects.toThrow(/"input_ids" takes 8 tokens, not length = 9/);
    await expect(textEncoder({ output: "pooled" })).rejects.toThrow(/no output "pooled"; it has "text_embeds"/);
    await expect(textEncoder({ model: tinyImageEncoder([8, 8]) })).rejects.toThrow(/takes 8 tokens|no output/);
  });
});
