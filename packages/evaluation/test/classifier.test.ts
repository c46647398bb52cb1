import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dataset, openDataset, openSamples, prepareDataset, type Split } from "@tensorar/data";
import { chooseEngine, train } from "@tensorar/training";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSamples } from "../../data/test/tiny-samples";
import {
  type ClassifierConfig,
  type ClassifierRunner,
  classifierAccuracy,
  classifierTask,
  instructionFollowing,
  loadClassifier,
  openClassifier,
  partsOf,
} from "../src/index";

// A style is the place of a square, an object its colour, a name the brightness of the background.

const SIZE = 8;
const STYLES = ["left", "right"];
const OBJECTS: Readonly<Record<string, readonly number[]>> = { red: [255, 0, 0], blue: [0, 0, 255] };
const NAMES = ["night", "day"];
const { signal } = new AbortController();

function pixelsOf(style: string, object: string, name: string): Uint8Array {
  const out = new Uint8Array(SIZE * SIZE * 3).fill(name === "night" ? 40 : 220);
  for (let y = 2; y < 6; y++)
    for (let x = 0; x < 4; x++) out.set(OBJECTS[object]!, (y * SIZE + x + (style === "left" ? 0 : 4)) * 3);
  return out;
}

const png = (pixels: Uint8Array) =>
  sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toBuffer();

let dir: string;
let dataset: Dataset;
let classifier: ClassifierRunner;
let config: ClassifierConfig;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar classifier "));
  const all = STYLES.flatMap((style) =>
    Object.keys(OBJECTS).flatMap((object) => NAMES.map((name) => ({ style, object, name }))),
  );
  const splitOf = ({ style, object, name }: (typeof all)[number]): Split =>
    style === "right" && object === "blue" && name === "day" ? "combinations" : "train";
  const classes = STYLES.flatMap((style) => Object.keys(OBJECTS).map((object) => `${style}/${object}`));
  await prepareDataset(
    {
      name: "squares",
      classes,
      attribution: [],
      leftOut: () => [],
      total: all.length,
      entries: () =>
        all.map((each) => {
          const { style, object, name } = each;
          return {
            name: `${style}/${name}-${object}-dark-skin-tone`,
            where: name,
            label: classes.indexOf(`${style}/${object}`),
            caption: `${name}, ${object}, ${style}`,
            otherCaptions: [`something ${style}`],
            split: splitOf(each),
            drawn: true,
            load: () => png(pixelsOf(style, object, name)),
          };
        }),
    },
    { out: join(dir, "data"), size: SIZE },
  );
  dataset = await openDataset(join(dir, "data"));
  config = { imageSize: SIZE, widths: [8, 8], hidden: 16, parts: partsOf(dataset) };
  const options = { batchSize: 8, dropout: 0, shift: 0, seed: 0, emaDecay: 0, weightDecay: 0 };
  const run = { out: join(dir, "classifier"), steps: 60, learningRate: 0.01, warmupSteps: 5, threads: 1 };
  await train(classifierTask(dataset, config, options), run);
  classifier = await openClassifier(await loadClassifier(join(dir, "classifier")), await chooseEngine("onnx", {}));
});
afterAll(async () => {
  await classifier.dispose();
  await rm(dir, { recursive: true, force: true });
});

test("learns style, object and name; names are without skin tones, and of training images", () => {
  expect(config.parts).toEqual([
    { name: "style", values: ["left", "right"] },
    { name: "object", values: ["blue", "red"] },
    { name: "name", values: ["day-blue", "day-red", "night-blue", "night-red"] },
  ]);
});

test("tells training images apart after its training, and ranks what is asked for", async () => {
  const pixels = Buffer.concat([pixelsOf("left", "red", "day"), pixelsOf("right", "blue", "night")]);
  const right = { style: "right", object: "blue", name: "night-blue" };
  const ranks = await classifier.ranks(new Uint8Array(pixels), [{ ...right, name: "unheard of" }, right]);
  expect(ranks[0]).toEqual({ style: 1, object: 1 });
  expect(ranks[1]).toEqual({ style: 0, object: 0, name: 0 });
});

test("its own accuracy is measured on images that it was not trained on", async () => {
  const accuracy = await classifierAccuracy(classifier, dataset, signal);
  expect(accuracy.heldOutScoredImages).toBe(1);
  expect(Object.keys(accuracy).sort()).toEqual(
    ["heldOutClassAccuracy", "heldOutNameTop10", "heldOutObjectAccuracy", "heldOutScoredImages", "heldOutStyleAccuracy"], // biome-ignore format: one row
  );
  expect(accuracy.heldOutStyleAccuracy).toBe(1);
});

describe("samples", () => {
  const shape = { imageSize: SIZE, windowSize: 1, grid: [1, 1] as [number, number], settings: {} };
  const write = async (name: string, classes: string[], labels: number[], images: Uint8Array[], imageSize = SIZE) => {
    const count = labels.length;
    const rows = { labels: Int32Array.from(labels), codes: new Int32Array(count), trace: new Int32Array(count) };
    const given = { ...rows, images: new Uint8Array(Buffer.concat(images)) };
    await writeSamples(join(dir, name), { ...shape, imageSize, classes, count }, given);
    return openSamples(join(dir, name));
  };

  test("of prompts: by what is seen, by held-out combinations, and without what no caption says", async () => {
    const prompts = ["day, red, left", "day, blue, right", "something left", "nobody knows"];
    const images = [
      pixelsOf("left", "red", "day"), // as asked for
      pixelsOf("left", "blue", "night"), // another object
      pixelsOf("right", "blue", "night"), // the held-out combination, almost
      pixelsOf("left", "blue", "day"), // the style is right, and nothing else is asked for
      pixelsOf("left", "blue", "day"),
    ];
    const samples = await write("prompts", prompts, [0, 0, 1, 2, 3], images);
    expect(await instructionFollowing(classifier, samples, dataset, signal)).toEqual({
      styleAccuracy: 1,
      objectAccuracy: 0.5,
      classAccuracy: 0.5,
      nameTop10: 1,
      scoredImages: 3,
      heldOutStyleAccuracy: 1,
      heldOutObjectAccuracy: 1,
      heldOutClassAccuracy: 1,
      heldOutNameTop10: 1,
      heldOutScoredImages: 1,
      unknownImages: 1,
    });
  });

  test("of classes: the fraction that shows its class", async () => {
    const images = [pixelsOf("left", "red", "day"), pixelsOf("left", "red", "day")];
    const samples = await write("classes", ["left/red", "right/red"], [0, 1], images);
    const row = await instructionFollowing(classifier, samples, dataset, signal);
    expect(row).toEqual({ styleAccuracy: 0.5, objectAccuracy: 1, classAccuracy: 0.5, scoredImages: 2 });
  });

  test("of another size, or of nothing that the data set knows, are refused", async () => {
    const large = await write("large", ["left/red"], [0], [new Uint8Array(16 * 16 * 3)], 16);
    await expect(instructionFollowing(classifier, large, dataset, signal)).rejects.toThrow(/16 px, .* takes 8 px/);
    const foreign = await write("foreign", ["a dog"], [0], [pixelsOf("left", "red", "day")]);
    await expect(instructionFollowing(classifier, foreign, dataset, signal)).rejects.toThrow(/\(a dog, …\) is a class/);
  });
});

test("a folder that holds no classifier, or a damaged one, is refused", async () => {
  await expect(loadClassifier(join(dir, "data"))).rejects.toThrow(/config\.json.*classifier's folder/);
  const config = join(dir, "classifier", "config.json");
  const text = await readFile(config, "utf8");
  await writeFile(config, text.replace('"hidden": 16', '"hidden": 15'));
  await expect(loadClassifier(join(dir, "classifier"))).rejects.toThrow(
    /hidden\.weight is \[128,16\], where .* says \[128,15\]/,
  );
  await writeFile(config, text.replace('"imageSize": 8', '"imageSize": 7'));
  await expect(loadClassifier(join(dir, "classifier"))).rejects.toThrow(/the image can't be halved so often/);
  await writeFile(config, text);
  await appendFile(join(dir, "classifier", "model.safetensors"), "x");
  await expect(loadClassifier(join(dir, "classifier"))).rejects.toThrow(/model\.safetensors/);
});
