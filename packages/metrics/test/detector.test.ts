import "@tensorflow/tfjs";
import { serializeModel, trace } from "@tensorar/onnx";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import {
  cocoClasses,
  type DetectorOptions,
  type DetectorOutputs,
  type Preprocessing,
  userDetector,
} from "../src/features";
import { drawRectangles, SHAPES, type TinyLayout, type TinyOptions, tinyDetector } from "./tiny-detector";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const OUTPUTS: Readonly<Record<TinyLayout, DetectorOutputs>> = {
  boxes: { kind: "boxes", boxes: "boxes", labels: "labels", scores: "scores" },
  dets: { kind: "dets", dets: "dets", labels: "labels" },
  softmax: { kind: "queries", logits: "logits", boxes: "pred_boxes", scores: "softmax" },
  sigmoid: { kind: "queries", logits: "logits", boxes: "pred_boxes", scores: "sigmoid" },
};

const preprocessing = (
  size: readonly [number, number],
  resize: Preprocessing["resize"] = { filter: "bilinear" },
): Preprocessing => ({ size, resize, mean: [0, 0, 0], std: [1, 1, 1], layout: "NCHW" });

const open = (tiny: TinyOptions, options: Partial<DetectorOptions> = {}) =>
  userDetector({
    runtime,
    model: tinyDetector(tiny),
    outputs: OUTPUTS[tiny.layout],
    classes: SHAPES,
    threads: 1,
    preprocessing: preprocessing(tiny.size),
    ...options,
  });

/** A bench at the upper left, a bottle at the lower right. */
const THINGS = [
  { color: "red", box: [4, 8, 28, 16] },
  { color: "blue", box: [40, 36, 46, 60] },
] as const;
const picture = (height: number, width: number, data = drawRectangles(height, width, THINGS)) => ({
  data,
  count: 1,
  height,
  width,
});

/** Confident ones, by class. */
async function found(tiny: TinyOptions, options: Partial<DetectorOptions>, image: ReturnType<typeof picture>) {
  const detector = await open(tiny, options);
  try {
    const [detections] = await detector.detect(image);
    return detections!.filter(({ score }) => score > 0.3).sort((a, b) => a.class.localeCompare(b.class));
  } finally {
    await detector.dispose();
  }
}

describe("layouts", () => {
  test.each(["boxes", "dets", "softmax", "sigmoid"] as const)("%s: classes, scores and boxes", async (layout) => {
    const things = await found({ layout, size: [64, 64] }, { preprocessing: preprocessing([64, 64], "none") }, picture(64, 64)); // biome-ignore format: one row
    expect(things.map((each) => each.class)).toEqual(["bench", "bottle"]);
    const TOLERANCE = { atol: 1e-4, rtol: 0 }; // float32 shares of 64 pixels
    for (const [i, { box, score }] of things.entries()) {
      expectClose("box", box, THINGS[i]!.box, TOLERANCE);
      expect(score).toBeCloseTo(0.95, 3);
    }
  });

  test("one image without an axis for several, as torchvision's take it", async () => {
    const things = await found({ layout: "boxes", size: [64, 64], single: true }, {}, picture(64, 64));
    expect(things.map(({ box }) => [...box])).toEqual(THINGS.map(({ box }) => [...box]));
  });

  test("several images, each with its own boxes", async () => {
    const detector = await open({ layout: "boxes", size: [64, 64] });
    const [empty, full] = [drawRectangles(64, 64, []), drawRectangles(64, 64, THINGS)];
    const both = { data: Uint8Array.from([...empty, ...full]), count: 2, height: 64, width: 64 };
    const [first, second] = await detector.detect(both);
    expect(first!.every(({ score }) => score === 0)).toBe(true);
    expect(second!.filter(({ score }) => score > 0)).toHaveLength(2);
    await detector.dispose();
  });
});

describe("boxes come back in pixels of the image", () => {
  // Edges of a resized rectangle are blurred over a pixel of the input on each side.
  const within = (pixels: number) => ({ atol: pixels, rtol: 0 });
  const big = [
    { color: "red", box: [20, 30, 160, 60] },
    { color: "blue", box: [200, 80, 230, 150] },
  ] as const;
  const wide = picture(160, 320, drawRectangles(160, 320, big));

  test.each<[string, Preprocessing["resize"], readonly [number, number], number]>([
    ["stretched", { filter: "bilinear" }, [64, 64], 5], // a pixel of the input is 5 wide
    ["padded at the end", { filter: "bilinear", pad: "end" }, [128, 128], 3],
    ["padded around", { filter: "bilinear", pad: "around" }, [128, 128], 3],
    ["enlarged", { filter: "bicubic" }, [320, 640], 1],
  ])("%s", async (_, resize, size, pixels) => {
    const settings = { ...preprocessing(size, resize), mean: [0.5, 0.5, 0.5] as const }; // so that padding is grey
    const things = await found({ layout: "boxes", size, centered: true }, { preprocessing: settings }, wide);
    expect(things.map((each) => each.class)).toContain("bench");
    const bench = things.find((each) => each.class === "bench")!;
    expectClose("bench", bench.box, big[0].box, within(pixels));
  });

  test("cut in the middle: what is outside is not seen, the rest lies where it is", async () => {
    const resize = { filter: "bilinear", shorterSide: 160 } as const;
    const things = await found(
      { layout: "boxes", size: [160, 160] },
      { preprocessing: preprocessing([160, 160], resize) },
      wide,
    );
    // Columns 80 … 240 are seen: the bench is cut, and falls apart at the border between quarters, 160.
    const bench = things.find((each) => each.box[1] < 50)!;
    expect([...bench.box]).toEqual([80, 30, 160, 60]);
    const bottle = things.find((each) => each.class === "bottle")!;
    expect([...bottle.box]).toEqual([200, 80, 230, 150]);
  });
});

test("a mask tells where padding is", async () => {
  // Padding is 0, which is black here: without the mask it would be seen as an object.
  const image = picture(32, 64, drawRectangles(32, 64, [{ color: "red", box: [4, 8, 28, 16] }]));
  const settings = { preprocessing: preprocessing([64, 64], { filter: "bilinear", pad: "end" }), mask: "pixel_mask" };
  const things = await found({ layout: "boxes", size: [64, 64], mask: true }, settings, image);
  expect(things).toEqual([{ class: "bench", box: [4, 8, 28, 16], score: expect.closeTo(0.95, 5) }]);
  const unmasked = { preprocessing: settings.preprocessing };
  const seen = await found({ layout: "boxes", size: [64, 64] }, unmasked, image);
  expect(seen.length).toBeGreaterThan(1);
});

test("COCO's names as GenEval writes them, by both ways to count", () => {
  const [dense, sparse] = [cocoClasses(80), cocoClasses(91)];
  expect(dense).toHaveLength(80);
  expect(new Set(dense).size).toBe(80);
  expect(sparse).toHaveLength(91);
  expect(sparse.filter((name) => name !== "")).toEqual(dense);
  // Identifiers of COCO's instances_val2017.json.
  expect([1, 13, 44, 62, 74, 90].map((id) => sparse[id])).toEqual([
    ...["person", "stop sign", "bottle", "chair", "computer mouse", "toothbrush"],
  ]);
  expect(() => cocoClasses(90 as 80)).toThrow(/no 90 COCO classes/);
});

describe("refuses", () => {
  const tiny: TinyOptions = { layout: "softmax", size: [64, 64] };

  test.each<[string, TinyOptions, Partial<DetectorOptions>, RegExp]>([
    ["an output that is not there", tiny, { outputs: OUTPUTS.dets }, /no output "dets"; it has "logits", "pred_boxes"/],
    [
      "another layout",
      tiny,
      { outputs: { ...OUTPUTS.dets, dets: "pred_boxes", labels: "logits" } as never },
      /"pred_boxes" is \[1, 4, 4\]; boxes with scores ends in 5/,
    ],
    [
      "too few names",
      tiny,
      { classes: ["a", "b"] },
      /"logits" is \[1, 4, 4\]; with 2 class names and scores "softmax" it ends in 3/,
    ],
    ["no names", tiny, { classes: [] }, /classes is empty/],
    [
      "an unknown kind",
      tiny,
      { outputs: { kind: "yolo" } as never },
      /kind "yolo" are unknown; use boxes, dets, queries/,
    ],
    ["unknown scores", tiny, { outputs: { ...OUTPUTS.softmax, scores: "none" } as never }, /scores "none"/],
    ["another size", tiny, { preprocessing: preprocessing([32, 32]) }, /makes \[N, 3, 32, 32\]/],
    ["a mask that is not there", tiny, { mask: "pixel_mask" }, /no input "pixel_mask"; it has "pixels"/],
    ["a mask that is not named", { ...tiny, mask: true }, {}, /inputs "pixels", "pixel_mask".*name its mask/],
    [
      "both ways to resize",
      tiny,
      { preprocessing: preprocessing([64, 64], { filter: "bilinear", pad: "end", shorterSide: 64 } as never) },
      /both pad and shorterSide/,
    ],
    [
      "an unknown padding",
      tiny,
      { preprocessing: preprocessing([64, 64], { filter: "bilinear", pad: "left" } as never) },
      /pad "left" is unknown/,
    ],
    ["no model", tiny, { model: "/none.onnx" }, /userDetector: ONNX Runtime can't open \/none\.onnx/],
  ])("%s", async (_, tiny, options, message) => {
    // biome-ignore format: rows
    await expect(open(tiny, options)).rejects.toThrow(message);
  });

  test("too few names for the labels of a run", async () => {
    const detector = await open({ layout: "boxes", size: [64, 64] }, { classes: ["bench"] });
    await expect(detector.detect(picture(64, 64))).rejects.toThrow(/label \d, but there are 1 class names, for 0 … 0/);
    await detector.dispose();
  });

  /** A detector that finds these, whatever it sees. */
  const fixed = (scores: readonly number[], box: readonly number[], labels: readonly number[] = [0]) =>
    serializeModel(
      trace(
        ({ pixels }) => {
          const zero = tf.mul(tf.sum(pixels), 0);
          const finite = scores.map((score) => (Number.isNaN(score) ? 0 : 1));
          const over = tf.add(tf.tensor1d(finite), zero); // 0 / 0 is NaN
          return {
            boxes: tf.add(tf.tensor2d([...box], [box.length / 4, 4]), zero),
            scores: tf.div(tf.add(tf.tensor1d(scores.map((score) => score || 0)), zero), over),
            labels: tf.cast(tf.add(tf.tensor1d([...labels]), zero), "int32"),
          };
        },
        { pixels: { dtype: "float32", shape: [1, 3, 64, 64] } },
      ),
    );

  test.each<[string, () => Uint8Array, RegExp]>([
    ["scores that are NaN", () => fixed([Number.NaN], [1, 1, 2, 2]), /output "scores" holds NaN at 0; check the model/],
    [
      "scores that are none",
      () => fixed([4], [1, 1, 2, 2]),
      /score 4, which is not in \[0, 1\]; name the output of prob/,
    ],
    ["two scores for a box", () => fixed([0.5, 0.5], [1, 1, 2, 2]), /1 boxes have 1 labels \("labels"\) and 2 scores/],
  ])("%s", async (_, model, message) => {
    const detector = await open({ layout: "boxes", size: [64, 64] }, { model: model() });
    await expect(detector.detect(picture(64, 64))).rejects.toThrow(message);
    await detector.dispose();
  });

  test("labels below 0, which fill up a list, are no detections", async () => {
    const model = fixed([0.5, 0], [1, 1, 2, 2, 0, 0, 0, 0], [0, -1]);
    const detector = await open({ layout: "boxes", size: [64, 64] }, { model });
    expect(await detector.detect(picture(64, 64))).toEqual([[{ class: "bench", box: [1, 1, 2, 2], score: 0.5 }]]);
    await detector.dispose();
  });
});
