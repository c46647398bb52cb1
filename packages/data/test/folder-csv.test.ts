import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { csvSource } from "../src/sources/csv-source";
import { folderSource } from "../src/sources/folder-source";
import { decodeAll, plain, plainPng, temporaryFolder, writeAt } from "./data-helpers";

const root = temporaryFolder();
let folders = 0;
const fresh = () => join(root, String(folders++));

describe("a folder with one sub-folder a class", () => {
  test("labels follow the names, files may be nested, others are ignored", async () => {
    const dir = fresh();
    writeAt(join(dir, "b dog", "1.png"), await plainPng([1, 1, 1]));
    writeAt(join(dir, "a cat", "deep", "er", "2.JPG"), await plain([2, 2, 2]).jpeg().toBuffer());
    writeAt(join(dir, "a cat", "3.webp"), await plain([3, 3, 3]).webp({ lossless: true }).toBuffer());
    writeAt(join(dir, "a cat", ".hidden.png"), "not an image");
    writeAt(join(dir, "a cat", "notes.txt"), "not an image");
    writeAt(join(dir, ".DS_Store"), "");
    symlinkSync(join(dir, "b dog", "1.png"), join(dir, "b dog", "2.png"));
    const source = await folderSource(dir);
    expect(source.classes).toEqual(["a cat", "b dog"]);
    expect(source.total).toBe(4);
    const samples = await decodeAll(source, { size: 4 });
    expect(samples.map(({ name, label, pixels }) => [name, label, pixels[0]])).toEqual([
      ["a cat/3.webp", 0, 3],
      ["a cat/deep/er/2.JPG", 0, 2],
      ["b dog/1.png", 1, 1],
      ["b dog/2.png", 1, 1],
    ]);
  });

  test("a corrupt image is named by a path that can be opened", async () => {
    const dir = fresh();
    const path = writeAt(join(dir, "a", "bad.png"), "nonsense");
    await expect(decodeAll(await folderSource(dir), { size: 4 })).rejects.toThrow(`${path}: not a readable image`);
  });

  test("refuses a missing folder, one without classes, an empty class, and stray images", async () => {
    const dir = fresh();
    await expect(folderSource(dir)).rejects.toThrow(/^cannot read the folder ".*": ENOENT/);
    mkdirSync(dir);
    await expect(folderSource(dir)).rejects.toThrow(`${dir} has no sub-folders`);
    mkdirSync(join(dir, "empty"));
    await expect(folderSource(dir)).rejects.toThrow(`${join(dir, "empty")} holds no image`);
    const stray = writeAt(join(dir, "stray.png"), "");
    await expect(folderSource(dir)).rejects.toThrow(`${stray} lies outside any class`);
  });
});

describe("a CSV of images and captions", () => {
  const setUp = async (csv: string): Promise<string> => {
    const dir = fresh();
    writeAt(join(dir, "pictures", "one.png"), await plainPng([1, 1, 1]));
    writeAt(join(dir, "two.png"), await plainPng([2, 2, 2]));
    return writeAt(join(dir, "list.csv"), csv);
  };

  test("with classes, quotes, a byte order mark and Windows line ends", async () => {
    const file = await setUp(
      '\ufeffimage,caption,class,extra\r\npictures/one.png,"a ""quoted"", caption",zebra,x\r\n\r\ntwo.png, plain ,ant,y\r\n',
    );
    const source = await csvSource(file);
    expect(source.name).toBe("list");
    expect(source.classes).toEqual(["ant", "zebra"]);
    const samples = await decodeAll(source, { size: 2 });
    expect(samples.map(({ name, label, caption, pixels }) => [name, label, caption, pixels[0]])).toEqual([
      ["pictures/one.png", 1, 'a "quoted", caption', 1],
      ["two.png", 0, "plain", 2],
    ]);
  });

  test("without classes there is one", async () => {
    const source = await csvSource(await setUp("image,caption\ntwo.png,hello\n"));
    expect(source.classes).toEqual(["image"]);
    expect((await decodeAll(source, { size: 2 }))[0]).toMatchObject({ label: 0, caption: "hello" });
  });

  test("a missing image names its path, the CSV and the line", async () => {
    const file = await setUp("image,caption\ntwo.png,hello\nnone.png,gone\n");
    await expect(decodeAll(await csvSource(file), { size: 2 })).rejects.toThrow(
      /none\.png \(.*list\.csv, line 3\): not a readable image \(.*ENOENT/,
    );
  });

  test.each([
    ["no header", "two.png,hello\n", /no images/],
    ["a missing column", "image,text\ntwo.png,hello\n", /no column "caption" in the header \(image, text\)/],
    ["an empty class", "image,caption,class\ntwo.png,hello,a\ntwo.png,hello,\n", /line 3: "class" is empty/],
    ["an empty image", "image,caption\n,hello\n", /line 2: "image" is empty/],
    ["too many values", "image,caption\ntwo.png,hello,more\n", /cannot be read as CSV \(.*line 2/],
    ["an open quote", 'image,caption\ntwo.png,"hello\n', /cannot be read as CSV/],
    ["nothing", "", /no images/],
  ])("refuses %s", async (_, csv, message) => {
    const file = await setUp(csv);
    await expect(csvSource(file)).rejects.toThrow(message);
    await expect(csvSource(file)).rejects.toThrow(file);
  });

  test("refuses a missing file", async () => {
    await expect(csvSource(join(root, "none.csv"))).rejects.toThrow(/^cannot read ".*none\.csv": ENOENT/);
  });
});
