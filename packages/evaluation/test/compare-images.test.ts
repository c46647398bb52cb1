import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dataset, datasetImages, openDataset, prepareDataset } from "@tensorar/data";
import { createStream } from "@tensorar/noise";
import { chooseEngine } from "@tensorar/training";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ClassifierConfig,
  type ClassifierRunner,
  type HeldOutComparison,
  heldOutComparison,
  initClassifier,
  openClassifier,
} from "../src/index";

const [SIZE, TRAINING, HELD_OUT] = [4, 12, 10];
const config: ClassifierConfig = { imageSize: SIZE, widths: [4], hidden: 5, parts: [{ name: "class", values: ["a"] }] };
const { signal } = new AbortController();

let dir: string;
let dataset: Dataset;
let classifier: ClassifierRunner;
let comparison: HeldOutComparison;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar compare "));
  const random = createStream(3, "compare-images");
  const images = Array.from({ length: TRAINING + HELD_OUT }, () => {
    const data = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => random.below(256));
    return sharp(data, { raw: { width: SIZE, height: SIZE, channels: 3 } })
      .png()
      .toBuffer();
  });
  const entries = images.map((image, i) => ({
    name: `image ${i}`,
    where: `image ${i}`,
    label: 0,
    split: i < TRAINING ? ("train" as const) : ("validation" as const),
    load: () => image,
  }));
  const source = { name: "noise", classes: ["a"], attribution: [], leftOut: () => [], entries: () => entries };
  await prepareDataset(source, { out: join(dir, "data"), size: SIZE });
  dataset = await openDataset(join(dir, "data"));
  const engine = await chooseEngine("onnx", {});
  classifier = await openClassifier({ config, training: {}, tensors: initClassifier(config, 1) }, engine);
  comparison = await heldOutComparison(classifier, dataset, "validation", engine, signal);
});
afterAll(async () => {
  await classifier.dispose();
  await rm(dir, { recursive: true, force: true });
});

test("the held-out images themselves are at distance 0, cover everything, and are no copies", async () => {
  const own = await comparison.compare("own", datasetImages(dataset, dataset.validation), signal);
  expect(own).toMatchObject({ precision: 1, recall: 1, coverage: 1, memorised: 0 });
  expect(own.frechet).toBeLessThan(1e-3); // 0 but for the root of a covariance of few images
});

test("training images are copies", async () => {
  const copies = await comparison.compare("copies", datasetImages(dataset, dataset.train), signal);
  expect(copies.memorised).toBe(1);
  expect(copies.frechet).toBeGreaterThan(0.01);
});
