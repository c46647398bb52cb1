import "@tensorflow/tfjs";
import { serializeModel, trace } from "@tensorar/onnx";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { resizeImage } from "../src/extractor/resize";
import { type ExtractorOptions, type Preprocessing, type RgbImages, toRgbImages, userExtractor } from "../src/features";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Pixels that differ everywhere: (7 i² + 13 i) mod 251. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (7 * i * i + 13 * i) % 251);

const images = (count: number, height: number, width: number): RgbImages => ({
  data: pattern(count * height * width * 3),
  count,
  height,
  width,
});

describe("toRgbImages", () => {
  const row = { height: 1, width: 2 };

  test("keeps RGB", () => {
    const data = Uint8Array.of(1, 2, 3, 250, 251, 252);
    expect(toRgbImages({ data, ...row, channels: 3 })).toEqual({ data, count: 1, ...row });
    expect(toRgbImages({ data: Uint8ClampedArray.from(data), ...row, channels: 3 }).data).toEqual(data);
  });

  test("repeats gray", () => {
    const { data } = toRgbImages({ data: Uint8Array.of(7, 9), ...row, channels: 1 });
    expect([...data]).toEqual([7, 7, 7, 9, 9, 9]);
  });

  test("drops alpha, or puts a background behind it", () => {
    const rgba = Uint8Array.of(100, 50, 0, 51, 10, 20, 30, 255); // a fifth opaque, then all
    expect([...toRgbImages({ data: rgba, ...row, channels: 4 }).data]).toEqual([100, 50, 0, 10, 20, 30]);
    const { data } = toRgbImages({ data: rgba, ...row, channels: 4 }, { background: [255, 0, 10] });
    expect([...data]).toEqual([224, 10, 8, 10, 20, 30]); // 0.2 · 100 + 0.8 · 255, …
    const grayAlpha = Uint8Array.of(200, 0, 60, 255);
    expect([...toRgbImages({ data: grayAlpha, ...row, channels: 2 }, { background: [1, 2, 3] }).data]).toEqual([
      1, 2, 3, 60, 60, 60,
    ]);
  });

  test("rounds 16 bits: v · 257 is v again, whatever v", () => {
    const every = Uint8Array.from({ length: 256 * 3 }, (_, i) => i % 256);
    const wide = Uint16Array.from(every, (value) => value * 257);
    expect(toRgbImages({ data: wide, height: 16, width: 16, channels: 3 }).data).toEqual(every);
    const { data } = toRgbImages({ data: Uint16Array.of(128, 129), ...row, channels: 1 });
    expect([...data]).toEqual([0, 0, 0, 1, 1, 1]); // 0.498 and 0.502 of a step
    const half = Uint16Array.of(65535, 32768, 0, 0); // nothing, as its alpha is 0
    const clear = toRgbImages({ data: half, height: 1, width: 1, channels: 4 }, { background: [1, 2, 3] });
    expect([...clear.data]).toEqual([1, 2, 3]);
  });

  test("refuses what does not fit", () => {
    expect(() => toRgbImages({ data: new Uint8Array(5), ...row, channels: 3 })).toThrow(/5 entries, not 6/);
    expect(() => toRgbImages({ data: new Uint8Array(10), ...row, channels: 5 as 4 })).toThrow(/channels = 5/);
    expect(() => toRgbImages({ data: new Uint8Array(0), height: 0, width: 1, channels: 3 })).toThrow(/height = 0/);
    const background = [0, 0, 300] as const;
    expect(() => toRgbImages({ data: new Uint8Array(8), ...row, channels: 4 }, { background })).toThrow(/300/);
  });
});

describe("resizeImage", () => {
  // PyTorch 2.13: interpolate(mode, antialias=True) of uint8 images [1, 3, h, w]; here rows of the result.
  // biome-ignore format: numbers in rows
  const SMALLER = {
    bilinear: [
      77, 130, 128, 130, 141, 126, 133, 81, 124, 56, 89, 132, 120, 132, 66, 160, 166, 96, 159, 124, 103, 89, 76, 110, 145,
      59, 125, 105, 139, 90, 150, 168, 146, 159, 137, 142, 100, 143, 127, 169, 95, 133, 137, 107, 74, 112, 124, 163, 130,
      110, 118, 165, 132, 134, 120, 81, 95, 149, 142, 93,
    ],
    bicubic: [
      70, 126, 128, 132, 145, 126, 144, 74, 124, 45, 89, 134, 125, 137, 61, 166, 176, 90, 162, 124, 98, 74, 68, 106, 152,
      51, 124, 98, 146, 89, 149, 170, 146, 162, 135, 145, 86, 150, 131, 175, 94, 145, 138, 103, 67, 110, 125, 166, 128,
      112, 115, 177, 132, 137, 115, 79, 88, 151, 151, 95,
    ],
  };
  // biome-ignore format: numbers in rows
  const LARGER_FIRST_ROWS = {
    bilinear: [
      0, 20, 54, 58, 102, 160, 95, 169, 186, 79, 183, 50, 153, 107, 184, 173, 86, 156, 160, 97, 48,
      2, 57, 84, 72, 104, 155, 113, 150, 172, 82, 179, 81, 141, 119, 170, 164, 95, 152, 164, 94, 80,
    ],
    bicubic: [
      0, 0, 24, 50, 98, 176, 89, 196, 213, 77, 185, 32, 166, 94, 211, 184, 73, 170, 156, 100, 17,
      0, 41, 68, 70, 100, 164, 118, 165, 187, 82, 182, 73, 148, 112, 188, 173, 85, 162, 163, 94, 63,
    ],
  };
  const LEVEL = { atol: 1, rtol: 0 }; // PyTorch's weights are fixed-point numbers, so that a rounding may differ

  test.each(["bilinear", "bicubic"] as const)("%s is PyTorch's, to one level", (filter) => {
    const smaller = resizeImage(pattern(9 * 7 * 3), [9, 7], [4, 5], filter);
    expectClose("smaller", smaller, SMALLER[filter], LEVEL);
    const larger = resizeImage(pattern(4 * 5 * 3), [4, 5], [9, 7], filter);
    expect(larger.length).toBe(9 * 7 * 3);
    expectClose("larger", larger.subarray(0, 2 * 7 * 3), LARGER_FIRST_ROWS[filter], LEVEL);
  });
});

describe("userExtractor", () => {
  const mean = [0.5, 0.25, 0] as const;
  const std = [0.5, 0.25, 2] as const;

  /** A network whose features can be computed by hand: the top left pixel as it was fed, and the mean of the rest. */
  function network(layout: "NCHW" | "NHWC", [h, w]: readonly [number, number], batch: number | string = "batch") {
    const shape = layout === "NCHW" ? [batch, 3, h, w] : [batch, h, w, 3];
    const model = trace(
      ({ pixels }) => {
        const last = layout === "NCHW" ? tf.transpose(pixels, [0, 2, 3, 1]) : pixels;
        const corner = tf.reshape(tf.slice(last, [0, 0, 0, 0], [-1, 1, 1, 3]), [-1, 3]);
        const average = tf.mean(last, [1, 2]) as tf.Tensor2D; // [N, 3]
        return { corner, tokens: tf.stack([corner, average], 1), all: tf.concat([corner, average], 1) };
      },
      { pixels: { dtype: "float32", shape } },
    );
    return serializeModel(model);
  }

  const settings = (layout: "NCHW" | "NHWC", size: readonly [number, number] = [4, 6]): Preprocessing => ({
    size,
    resize: "none",
    mean,
    std,
    layout,
  });

  const open = (options: Partial<ExtractorOptions>) =>
    userExtractor({
      runtime,
      model: network("NCHW", [4, 6]),
      preprocessing: settings("NCHW"),
      output: "all",
      threads: 1,
      ...options,
    });

  /** What `all` should be. */
  const byHand = ({ data, count, height, width }: RgbImages): number[] =>
    Array.from({ length: count }, (_, i) => {
      const image = data.subarray(i * height * width * 3, (i + 1) * height * width * 3);
      const value = (at: number) => (image[at]! / 255 - mean[at % 3]!) / std[at % 3]!;
      const averages = [0, 1, 2].map((channel) => {
        let sum = 0;
        for (let at = channel; at < image.length; at += 3) sum += value(at);
        return sum / (height * width);
      });
      return [value(0), value(1), value(2), ...averages];
    }).flat();

  const FLOAT32 = { atol: 1e-6, rtol: 1e-6 }; // sums of 24 float32 numbers of size 1

  test.each(["NCHW", "NHWC"] as const)("normalizes and feeds %s, in batches of any size", async (layout) => {
    const extractor = await open({
      model: network(layout, [4, 6]),
      preprocessing: settings(layout),
      batchSize: 2,
      dims: 6,
    });
    const input = images(5, 4, 6);
    const { data, count, dims } = await extractor.extract(input);
    expect([count, dims]).toEqual([5, 6]);
    expectClose("features", data, byHand(input), FLOAT32);
    await extractor.dispose();
  });

  test("fills the last batch of a model of fixed size", async () => {
    const extractor = await open({ model: network("NCHW", [4, 6], 3) });
    const input = images(4, 4, 6);
    expectClose("features", (await extractor.extract(input)).data, byHand(input), FLOAT32);
    await extractor.dispose();
  });

  test("picks one token", async () => {
    const extractor = await open({ output: "tokens", token: 1 });
    const input = images(2, 4, 6);
    const { data, dims } = await extractor.extract(input);
    expect(dims).toBe(3);
    const averages = byHand(input).filter((_, i) => i % 6 >= 3);
    expectClose("features", data, averages, FLOAT32);
    await extractor.dispose();
  });

  test("resizes the shorter side and cuts out the middle, or stretches", async () => {
    const tall = images(1, 20, 8);
    const whole = await open({
      model: network("NCHW", [4, 4]),
      preprocessing: { ...settings("NCHW", [4, 4]), resize: { filter: "bicubic", shorterSide: 6 } },
    });
    const scaled = resizeImage(tall.data, [20, 8], [15, 6], "bicubic");
    const top = 6; // (15 - 4) / 2 = 5.5 goes to the even number, as Python rounds
    const cut = Array.from({ length: 4 }, (_, y) => {
      const from = ((top + y) * 6 + 1) * 3;
      return [...scaled.subarray(from, from + 4 * 3)];
    }).flat();
    const middle = { data: Uint8Array.from(cut), count: 1, height: 4, width: 4 };
    expectClose("middle", (await whole.extract(tall)).data, byHand(middle), FLOAT32);
    await whole.dispose();
    const stretching = await open({ preprocessing: { ...settings("NCHW"), resize: { filter: "bilinear" } } });
    const stretched = { data: resizeImage(tall.data, [20, 8], [4, 6], "bilinear"), count: 1, height: 4, width: 6 };
    expectClose("stretched", (await stretching.extract(tall)).data, byHand(stretched), FLOAT32);
    await stretching.dispose();
  });

  test.each<[string, Partial<ExtractorOptions>, RegExp]>([
    ["another layout", { preprocessing: settings("NHWC") }, /"pixels" is \[.*3, 4, 6\].*makes \[N, 4, 6, 3\]/],
    ["another size", { preprocessing: settings("NCHW", [4, 5]) }, /makes \[N, 3, 4, 5\]/],
    ["an unknown output", { output: "pooled" }, /no output "pooled"; it has "corner", "tokens", "all"/],
    ["an unknown input", { input: "image" }, /no input "image"; its input is "pixels"/],
    ["tokens without a choice", { output: "tokens" }, /not \[N, dims\]; say which token/],
    ["a token of a flat output", { token: 0 }, /not \[N, tokens, dims\]/],
    ["another width", { dims: 7 }, /6 wide, not dims = 7/],
    ["a deviation of 0", { preprocessing: { ...settings("NCHW"), std: [1, 0, 1] } }, /std is \[1, 0, 1\]/],
    ["two means", { preprocessing: { ...settings("NCHW"), mean: [1, 0] as never } }, /mean is \[1, 0\]/],
    ["a layout of another name", { preprocessing: settings("HWC" as never) }, /layout "HWC" is unknown/],
    ["a batch of another size", { model: Uint8Array.of(1, 2), batchSize: 0 }, /batchSize = 0/],
    ["a file that is no model", { model: Uint8Array.of(1, 2) }, /ONNX Runtime can't open the model/],
    ["no such file", { model: "/none.onnx" }, /can't open \/none\.onnx/],
    ["no runtime", { runtime: {} as never }, /not ONNX Runtime/],
  ])("refuses %s", async (_, options, message) => {
    await expect(open(options)).rejects.toThrow(message);
  });

  test("refuses a batch size that the model does not take", async () => {
    await expect(open({ model: network("NCHW", [4, 6], 3), batchSize: 2 })).rejects.toThrow(/takes 3 images at once/);
  });

  test("refuses images that do not fit, and tokens that are not there", async () => {
    const extractor = await open({});
    await expect(extractor.extract(images(1, 6, 4))).rejects.toThrow(/6 × 4, not 4 × 6/);
    await expect(extractor.extract({ ...images(1, 4, 6), count: 2 })).rejects.toThrow(/72 entries, not 144/);
    await expect(extractor.extract({ ...images(1, 4, 6), data: new Float32Array(72) as never })).rejects.toThrow(
      /are Float32Array; pass a Uint8Array/,
    );
    await extractor.dispose();
    const third = await open({ output: "tokens", token: 2 });
    await expect(third.extract(images(1, 4, 6))).rejects.toThrow(/no token 2; pass one from 0 to 1/);
    await third.dispose();
  });
});
