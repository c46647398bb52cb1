import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openDataset } from "../src/dataset/dataset";
import { prepareDataset } from "../src/dataset/prepare";
import { splitByName } from "../src/dataset/split";
import type { ImageSource, SourceEntry } from "../src/sources/source";
import { plainPng, temporaryFolder } from "./data-helpers";

const root = temporaryFolder();
const COUNT = 60;
const SIZE = 3;
let pngs: Buffer[];
beforeAll(async () => {
  pngs = await Promise.all(Array.from({ length: COUNT }, (_, i) => plainPng([i, 2 * i, 255 - i])));
});

/** Image i has colour (i, 2i, 255 - i) and class i mod 3. */
const source = (images: readonly Uint8Array[] = pngs): ImageSource => ({
  name: "test",
  classes: ["a", "b", "c", "unused"],
  attribution: [{ title: "t", author: "a", url: "u", license: "MIT", licenseUrl: "l" }],
  total: images.length,
  leftOut: () => [{ reason: "hidden", count: 2, first: ".x" }],
  entries: () =>
    images.map((image, i) => ({
      name: `n${i}`,
      where: `w${i}`,
      label: i % 3,
      ...(i > 0 && { caption: `caption ${i}` }),
      load: async () => image,
    })),
});

let out: string;
let folders = 0;
beforeEach(() => {
  out = join(root, `parent-${folders++}`, "set");
});

describe("a prepared data set whose source chooses", () => {
  const splits = ["train", "validation", "test", "combinations"] as const;
  const chosen = (): ImageSource => ({
    ...source(),
    entries: (size) =>
      [...(source().entries(size) as SourceEntry[])].map((entry, i) => ({
        ...entry,
        caption: `a ${i}`,
        ...(i % 2 === 1 && { otherCaptions: [`number ${i}`, ""] }),
        split: splits[i % 4]!,
      })),
  });

  test("keeps all captions, and what each image is for", async () => {
    const info = await prepareDataset(chosen(), { out, size: SIZE });
    expect(info.split.by).toBe("source");
    const dataset = await openDataset(out);
    expect(dataset.captions.slice(0, 2)).toEqual(["a 0", "a 1"]);
    expect(dataset.allCaptions.slice(0, 2)).toEqual([["a 0"], ["a 1", "number 1", ""]]);
    for (const [at, split] of splits.entries())
      expect([...dataset[split]]).toEqual(Array.from({ length: COUNT / 4 }, (_, i) => 4 * i + at));
  });

  test("is refused where an image does not say what it is for", async () => {
    await prepareDataset(chosen(), { out, size: SIZE });
    const file = join(out, "samples.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").replace('"split":"test",', ""));
    await expect(openDataset(out)).rejects.toThrow('samples.jsonl, line 3: no "split"');
  });
});

describe("a prepared data set", () => {
  test("holds what its source gave", async () => {
    const progress: (number | undefined)[][] = [];
    const info = await prepareDataset(source(), { out, size: SIZE, onProgress: (...at) => progress.push(at) });
    expect(progress).toEqual(pngs.map((_, i) => [i + 1, COUNT]));
    const dataset = await openDataset(out);
    expect(dataset.info).toEqual(info);
    expect(dataset.info.attribution[0]!.license).toBe("MIT");
    expect(dataset.info.classes).toEqual([
      { name: "a", count: 20 },
      { name: "b", count: 20 },
      { name: "c", count: 20 },
      { name: "unused", count: 0 },
    ]);
    expect(dataset.classes).toEqual(["a", "b", "c", "unused"]);
    expect([...dataset.labels]).toEqual(pngs.map((_, i) => i % 3));
    expect(dataset.names[7]).toBe("n7");
    expect(dataset.captions.slice(0, 2)).toEqual(["", "caption 1"]);
    const indices = [59, 0, 1, 2, 3, 3, 10, 9];
    const images = await dataset.readImages(Int32Array.from(indices));
    const expected = indices.flatMap((i) => new Array(SIZE * SIZE).fill([i, 2 * i, 255 - i]).flat());
    expect([...images]).toEqual(expected);
    expect(await dataset.readImages([])).toEqual(new Uint8Array());
  });

  test("classes without names are numbered up to the largest label", async () => {
    const { classes: _, ...unnamed } = source();
    expect((await prepareDataset(unnamed, { out, size: 1 })).classes.map(({ name }) => name)).toEqual(["0", "1", "2"]);
  });

  test("lists what it skipped", async () => {
    const images = [...pngs];
    images[5] = Buffer.from("broken");
    const info = await prepareDataset(source(images), { out, size: SIZE, onBadImage: "skip" });
    expect(info.count).toBe(COUNT - 1);
    expect(info.skipped).toMatchObject([{ file: "w5", reason: expect.stringContaining('begins "broken"') }]);
    expect(info.leftOut).toEqual([
      { reason: "hidden", count: 2, first: ".x" },
      { reason: "not a readable image", count: 1, first: "w5" },
    ]);
    expect((await openDataset(out)).info.skipped).toEqual(info.skipped);
  });

  test("is complete or absent", async () => {
    const broken = [...pngs.slice(1), Buffer.from("broken")];
    await expect(prepareDataset(source(broken), { out, size: SIZE })).rejects.toThrow(/w59: not a readable image/);
    const stop = new AbortController();
    const stopping = prepareDataset(source(), {
      out,
      size: SIZE,
      signal: stop.signal,
      onProgress: (done) => done === 20 && stop.abort(),
    });
    await expect(stopping).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    await expect(prepareDataset(source([pngs[0]!]), { out, size: SIZE })).rejects.toThrow(
      /1 usable images; left out 2 files: hidden \(2, first \.x\); training and validation need/,
    );
    await expect(prepareDataset(source([]), { out, size: SIZE })).rejects.toThrow(/0 usable images/);
    expect(readdirSync(join(out, ".."))).toEqual([]);
  });

  test("does not replace a folder, and refuses bad options", async () => {
    await prepareDataset(source(), { out, size: SIZE });
    await expect(prepareDataset(source(), { out, size: SIZE })).rejects.toMatchObject({ code: "exists" });
    await prepareDataset(source(pngs.slice(0, 9)), { out, size: SIZE, overwrite: true });
    expect((await openDataset(out)).count).toBe(9);
    const below = join(out, "dataset.json", "set");
    await expect(prepareDataset(source(), { out: below, size: SIZE })).rejects.toThrow(
      `cannot create the folder of "${below}"`,
    );
    await expect(prepareDataset(source(), { out, size: 0 })).rejects.toThrow(/size = 0/);
    await expect(prepareDataset(source(), { out, size: 1, validationFraction: 1 })).rejects.toThrow(
      /validationFraction = 1/,
    );
  });
});

describe("a damaged folder", () => {
  beforeEach(async () => {
    await prepareDataset(source(), { out, size: SIZE });
  });
  const change = (file: string, edit: (text: string) => string) =>
    writeFileSync(join(out, file), edit(readFileSync(join(out, file), "utf8")));

  test.each(["dataset.json", "samples.jsonl", "images.u8"])("without %s", async (file) => {
    rmSync(join(out, file));
    await expect(openDataset(out)).rejects.toThrow(join(out, file));
    await expect(openDataset(out)).rejects.toThrow(/tensorar data/);
  });

  test("written by an earlier version, which called the fraction a share", async () => {
    const { info } = await openDataset(out);
    rmSync(join(out, "checksums.txt"));
    change("dataset.json", (text) => text.replace("validationFraction", "validationShare"));
    expect((await openDataset(out)).info).toEqual(info);
  });

  test("with truncated or longer images", async () => {
    const path = join(out, "images.u8");
    const whole = COUNT * SIZE * SIZE * 3;
    appendFileSync(path, "x");
    await expect(openDataset(out)).rejects.toThrow(
      `${path}: ${whole + 1} bytes, but 60 images of 3 × 3 × 3 take ${whole}`,
    );
    truncateSync(path, whole - 1);
    await expect(openDataset(out)).rejects.toThrow(`${path}: ${whole - 1} bytes`);
  });

  test("with truncated, missing or contradicting lines", async () => {
    change("samples.jsonl", (text) => text.slice(0, -3));
    await expect(openDataset(out)).rejects.toThrow(/samples\.jsonl: 59 whole lines, but dataset\.json says 60/);
    change("samples.jsonl", (text) => `${text.slice(0, text.lastIndexOf("\n"))}\nnot json\n`);
    await expect(openDataset(out)).rejects.toThrow(/samples\.jsonl, line 60: not \{"name"/);
    change("samples.jsonl", (text) => text.replace("not json", '{"name":"n59","label":9}'));
    await expect(openDataset(out)).rejects.toThrow(/line 60: label 9, but dataset\.json has 4 classes/);
    change("samples.jsonl", (text) => text.replace('"label":9', '"label":0'));
    await expect(openDataset(out)).rejects.toThrow(/21 images of class "a", but dataset\.json says 20/);
  });

  test.each([
    ['"size": 3', '"size": -3', /"?size/],
    ['"size": 3', '"size": 4', /images of 4 × 4 × 3/],
    ['"tensorar-dataset-1"', '"tensorar-dataset-9"', /format/],
    ["{", "", /not valid JSON/],
  ])("with %s changed to %s", async (from, to, message) => {
    change("dataset.json", (text) => text.replace(from, to));
    await expect(openDataset(out)).rejects.toThrow(message);
  });

  test("with a flipped bit, which names the image", async () => {
    const path = join(out, "images.u8");
    const pixels = readFileSync(path);
    pixels[7 * SIZE * SIZE * 3 + 2]! ^= 16;
    writeFileSync(path, pixels);
    const dataset = await openDataset(out);
    expect((await dataset.readImages([6, 8])).length).toBe(2 * SIZE * SIZE * 3);
    await expect(dataset.readImages([6, 7])).rejects.toThrow(`${path}: image 7 (n7) was damaged`);
  });

  test("with a name that was changed", async () => {
    change("samples.jsonl", (text) => text.replace('"n5"', '"n6"'));
    await expect(openDataset(out)).rejects.toThrow(/samples\.jsonl: other contents than checksums\.txt lists/);
  });

  test("that shrinks while open, and indices out of range", async () => {
    const dataset = await openDataset(out);
    for (const index of [-1, COUNT, 0.5]) await expect(dataset.readImages([index])).rejects.toThrow(`index ${index}`);
    truncateSync(join(out, "images.u8"), 100);
    await expect(dataset.readImages([3])).rejects.toThrow(/ends at image 3/);
    rmSync(out, { recursive: true });
    await expect(dataset.readImages([3])).rejects.toThrow(/cannot be read \(ENOENT\)/);
    expect(existsSync(out)).toBe(false);
  });
});

describe("splitByName", () => {
  const names = Array.from({ length: 2000 }, (_, i) => `image ${i}`);

  test("divides all images, in about the share asked for", () => {
    const { train, validation } = splitByName(names, 0.1);
    expect([...train, ...validation].sort((a, b) => a - b)).toEqual(names.map((_, i) => i));
    expect(validation.length).toBeGreaterThan(150); // 200 expected, standard deviation 13.4
    expect(validation.length).toBeLessThan(250);
  });

  test("neither order nor additions move an image", () => {
    const side = (list: readonly string[]) => new Set(Array.from(splitByName(list, 0.1).validation, (i) => list[i]!));
    const all = side(names);
    expect(side(names.toReversed())).toEqual(all);
    expect(side(names.slice(0, 1000))).toEqual(new Set([...all].filter((name) => names.indexOf(name) < 1000)));
  });

  test.each([2, 3, 5])("leaves neither side empty for %i images", (count) => {
    for (const share of [0.001, 0.5, 0.999]) {
      const { train, validation } = splitByName(names.slice(0, count), share);
      expect(train.length).toBeGreaterThan(0);
      expect(validation.length).toBeGreaterThan(0);
      expect(train.length + validation.length).toBe(count);
    }
  });
});
