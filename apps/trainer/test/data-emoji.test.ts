import { join } from "node:path";
import { type Dataset, openDataset, prepareDataset } from "@tensorar/data";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeAll, temporaryFolder } from "../../../packages/data/test/data-helpers";
import { emojiSource } from "../src/emoji";

const SIZE = 32;
const STYLES = ["noto", "fluent", "twemoji"];
const root = temporaryFolder();
let dataset: Dataset;
beforeAll(async () => {
  await prepareDataset(await emojiSource(0.1), { out: join(root, "emoji"), size: SIZE });
  dataset = await openDataset(join(root, "emoji"));
});

const draw = (name: string) => dataset.readImages([dataset.names.indexOf(name)]);

/** Of the pixels that are not white: their share, mean colour and centre, in pixels from the image's centre. */
function inked(pixels: Uint8Array, size: number) {
  const sum = { count: 0, colour: [0, 0, 0], x: 0, y: 0 };
  for (let i = 0; i < size * size; i++) {
    const rgb = pixels.subarray(i * 3, i * 3 + 3);
    if (Math.min(...rgb) >= 250) continue;
    sum.count++;
    rgb.forEach((value, channel) => {
      sum.colour[channel]! += value;
    });
    sum.x += (i % size) + 0.5 - size / 2;
    sum.y += Math.floor(i / size) + 0.5 - size / 2;
  }
  return {
    share: sum.count / size ** 2,
    colour: sum.colour.map((total) => total / sum.count),
    x: sum.x / sum.count,
    y: sum.y / sum.count,
  };
}

describe("the emoji data set", () => {
  test("has thousands of images of three styles in classes that can be learnt", () => {
    expect(dataset.count).toBeGreaterThan(4000);
    for (const { name, count } of dataset.info.classes) {
      expect(count, name).toBeGreaterThanOrEqual(50);
      expect(count / dataset.count, name).toBeLessThan(0.1);
    }
    for (const style of STYLES)
      expect(dataset.names.filter((name) => name.startsWith(`${style}/`)).length).toBeGreaterThan(1000);
    expect(new Set(dataset.names).size).toBe(dataset.count);
    expect(new Set(dataset.classes).size).toBe(dataset.classes.length);
  });

  test("classes are style and category, captions say style and name", () => {
    for (const style of STYLES) {
      const i = dataset.names.indexOf(`${style}/grinning-face`);
      expect(dataset.classes[dataset.labels[i]!]).toBe(`${style}/smileys-emotion`);
      expect(dataset.captions[i]).toBe(`${style} emoji: grinning face`);
    }
    dataset.names.forEach((name, i) => {
      expect(dataset.classes[dataset.labels[i]!]!.split("/")[0]).toBe(name.split("/")[0]);
    });
  });

  test("has no skin-tone variants, but the symbols whose names only look like them", () => {
    expect(dataset.names.filter((name) => name.includes("skin-tone"))).toEqual([]);
    expect(dataset.names).not.toContain("fluent/waving-hand-dark");
    for (const style of STYLES)
      for (const name of ["waving-hand", "black-medium-square", "police-car-light"])
        expect(dataset.names).toContain(`${style}/${name}`);
  });

  test("all styles of a name are for the same", () => {
    const splits = (["train", "validation", "test"] as const).map(
      (split) => new Set(Array.from(dataset[split], (i) => dataset.names[i]!.split("/")[1]!)),
    );
    const [train, validation, held] = splits as [Set<string>, Set<string>, Set<string>];
    expect([...validation, ...held].filter((name) => train.has(name))).toEqual([]);
    expect([...held].filter((name) => validation.has(name))).toEqual([]);
    const total = train.size + validation.size + held.size;
    for (const { size } of [validation, held]) expect(Math.abs(size / total - 0.05)).toBeLessThan(0.02); // 3 sigma of 1,900 names
  });

  test("credits the three sets", () => {
    expect(dataset.info.attribution.map(({ license }) => license)).toEqual(["Apache-2.0", "MIT", "CC-BY-4.0"]);
    for (const { author, url } of dataset.info.attribution)
      expect(`${author} ${url}`).toMatch(/\w https:\/\/github\.com\//);
  });

  test("no image is blank", async () => {
    const blank: string[] = [];
    for (let i = 0; i < dataset.count; i++) {
      const pixels = await dataset.readImages([i]);
      if (pixels.every((value) => value >= 250)) blank.push(dataset.names[i]!);
    }
    expect(blank).toEqual([]);
  });
});

describe("a drawn icon", () => {
  test.each(STYLES)("%s: a red heart is red, solid, centred and as high as wide", async (style) => {
    const { share, colour, x, y } = inked(await draw(`${style}/red-heart`), SIZE);
    const [r, g, b] = colour as [number, number, number];
    expect(r).toBeGreaterThan(200);
    expect(Math.max(g, b)).toBeLessThan(120);
    expect(share).toBeGreaterThan(0.35);
    expect(share).toBeLessThan(0.8);
    expect(Math.abs(x)).toBeLessThan(1);
    expect(Math.abs(y)).toBeLessThan(3.5); // a heart is heavier above
  });

  test.each(STYLES)("%s: a green circle is green and round", async (style) => {
    const { share, colour, x, y } = inked(await draw(`${style}/green-circle`), SIZE);
    const [r, g, b] = colour as [number, number, number];
    expect(g).toBeGreaterThan(r + 30);
    expect(g).toBeGreaterThan(b + 30);
    expect(share).toBeGreaterThan(0.5);
    expect(share).toBeLessThan(Math.PI / 4 + 0.08); // a circle as wide as the image, and its soft edge
    expect(Math.hypot(x, y)).toBeLessThan(0.6);
  });

  test("an icon that is not square stays whole and centred", async () => {
    const { y } = inked(await draw("twemoji/watermelon"), SIZE); // 36 × 25.22
    expect(Math.abs(y)).toBeLessThan(3);
    const pixels = await draw("twemoji/watermelon");
    expect(Math.min(...pixels.subarray(0, SIZE * 3 * 3))).toBeGreaterThan(250); // 32 · (1 - 25.22 / 36) / 2 = 4.8 white rows above
    expect(Math.min(...pixels.subarray(-SIZE * 3 * 3))).toBeGreaterThan(250);
  });

  test("is drawn at the size asked for, not enlarged", async () => {
    const source = await emojiSource(0.1);
    const only = {
      ...source,
      entries: (size: number) =>
        [...(source.entries(size) as Iterable<never>)].filter(({ name }) => name === "noto/green-circle"),
    };
    const [sample] = await decodeAll(only, { size: 128 });
    const large = inked(sample!.pixels, 128).share;
    expect(large).toBeCloseTo(inked(await draw("noto/green-circle"), SIZE).share, 1);
    const row = Array.from({ length: 128 }, (_, x) => sample!.pixels[(64 * 128 + x) * 3]!);
    const soft = row.filter((value, x) => x > 0 && Math.abs(value - row[x - 1]!) > 20).length;
    expect(soft).toBeLessThanOrEqual(6); // two edges of at most three pixels each; an enlarged one would have twelve
  });
});
