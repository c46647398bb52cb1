import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { decodeSource } from "../src/sources/decode";
import { webDatasetSource } from "../src/sources/webdataset-source";
import { withTest } from "../src/sources/with-test";
import { bmp24, decodeAll, plain, plainPng, redAndBlue, temporaryFolder, writeAt } from "./data-helpers";

const root = temporaryFolder();
let archives = 0;

async function tar(files: readonly (readonly [string, Uint8Array | string])[]): Promise<Buffer> {
  const archive = pack();
  for (const [name, contents] of files) archive.entry({ name }, Buffer.from(contents));
  archive.finalize();
  return buffer(archive);
}

const save = (bytes: Uint8Array, extension = ".tar"): string =>
  writeAt(join(root, `set-${archives++}${extension}`), bytes);

const sample = async (key: string, value: number, cls: string) =>
  [
    [`${key}.cls`, cls],
    [`${key}.png`, await plainPng([value, value, value])],
  ] as const;

describe("WebDataset archives", () => {
  test("several, plain and gzipped, with captions, folders and files of no interest", async () => {
    const plainTar = save(
      await tar([
        ...(await sample("train/0001", 1, "0\n")),
        ["train/0001.txt", "a caption \n"],
        ["train/0001.json", "{}"],
        ["train/._0002.png", "resource fork"],
        ["train/0002.jpg", await plain([2, 2, 2]).jpeg({ quality: 100 }).toBuffer()],
        ["train/0002.cls", "2"],
      ]),
    );
    const gzipped = save(gzipSync(await tar(await sample("0001", 3, " 1 "))), ".tar.gz");
    const source = await webDatasetSource([plainTar, gzipped]);
    expect(source.classes).toBeUndefined();
    const samples = await decodeAll(source, { size: 2 });
    expect(samples.map(({ label, caption, pixels }) => [label, caption, pixels[0]])).toEqual([
      [0, "a caption", 1],
      [2, undefined, 2],
      [1, undefined, 3],
    ]);
    expect(samples.map(({ name }) => name.replace(/set-\d+/, "set"))).toEqual([
      "set/train/0001",
      "set/train/0002",
      "set/0001",
    ]);
  });

  test("class names bound the class index", async () => {
    const classNames = writeAt(join(root, "names.txt"), "cat\ndog\n");
    const good = await webDatasetSource([save(await tar(await sample("1", 1, "1")))], { classNames });
    expect(good.classes).toEqual(["cat", "dog"]);
    expect((await decodeAll(good, { size: 2 }))[0]!.label).toBe(1);
    const bad = await webDatasetSource([save(await tar(await sample("1", 1, "2")))], { classNames });
    await expect(decodeAll(bad, { size: 2 })).rejects.toThrow(
      /1\.cls holds "2"; a class index is a whole number from 0 to 1; correct it or complete/,
    );
  });

  test.each(["-1", "1.5", "cat", "", "1e3", "70000", "99999999999999999999"])('refuses class "%s"', async (cls) => {
    const source = await webDatasetSource([save(await tar(await sample("7", 1, cls)))]);
    await expect(decodeAll(source, { size: 2 })).rejects.toThrow(
      `7.cls holds "${cls}"; a class index is a whole number`,
    );
  });

  test("refuses bad lists of class names", async () => {
    const at = (text: string) =>
      webDatasetSource(["x.tar"], { classNames: writeAt(join(root, "bad-names.txt"), text) });
    await expect(at("a\n\nb\n")).rejects.toThrow(/line 2: empty/);
    await expect(at("a\nb\na\n")).rejects.toThrow(/line 3: "a" names class 0 already/);
    await expect(webDatasetSource(["x.tar"], { classNames: join(root, "none.txt") })).rejects.toThrow(
      /^cannot read ".*none\.txt": ENOENT/,
    );
  });

  test("refuses samples without image or class", async () => {
    const decode = async (files: Parameters<typeof tar>[0]) =>
      decodeAll(await webDatasetSource([save(await tar(files))]), { size: 2 });
    await expect(decode([["5.cls", "1"]])).rejects.toThrow(/: 5 has no image/);
    await expect(decode([["5.png", await plainPng([0, 0, 0])]])).rejects.toThrow(
      /5\.png has neither a class index \(5\.cls\) nor a caption \(5\.txt/,
    );
    const [cls, png] = await sample("5", 1, "0");
    await expect(decode([cls, ...(await sample("6", 1, "0")), png])).rejects.toThrow(/follow one another/);
    await expect(decode([["readme.md", "hello"]])).rejects.toThrow(/no samples/);
    await expect(webDatasetSource([])).rejects.toThrow(/no archives/);
  });

  test("refuses truncated and foreign archives, and names them", async () => {
    const noisy = await redAndBlue(64, 64).png().toBuffer();
    const whole = await tar([
      ["1.png", noisy],
      ["1.cls", "0"],
      ["2.png", noisy],
      ["2.cls", "0"],
    ]);
    const zipped = gzipSync(whole);
    const decode = async (archive: string) => decodeAll(await webDatasetSource([archive]), { size: 2 });
    for (const archive of [
      save(zipped.subarray(0, zipped.length - 20), ".tar.gz"),
      save(zipped.subarray(0, zipped.length / 2), ".tar.gz"),
      save(whole.subarray(0, 700)),
      save(Buffer.from("x".repeat(2000))),
    ]) {
      await expect(decode(archive), archive).rejects.toThrow(`${archive}: not a whole tar archive (`);
    }
    await expect(decode(join(root, "none.tar"))).rejects.toThrow(/^cannot read ".*none\.tar": ENOENT/);
  });

  const read = async (files: Parameters<typeof tar>[0], extension = ".tar", options = {}) => {
    const source = await webDatasetSource([save(await tar(files), extension)], options);
    const samples = await decodeAll(source, { size: 2, ...options });
    const rows = samples.map(({ name, label, caption, pixels }) => [
      ...[name.replace(/set-\d+/, "set"), label, caption, pixels[0]],
    ]);
    return { classes: source.classes, rows, leftOut: source.leftOut() };
  };

  test("keys end at the last dot, whatever the case of names", async () => {
    const files = [...(await sample("img.v1.0", 1, "0")), ...(await sample("img.v1.1", 2, "1"))];
    const loud = await plainPng([3, 3, 3]);
    const { rows } = await read([...files, ["LOUD.PNG", loud], ["LOUD.CLS", "2"]], ".TAR");
    expect(rows).toEqual([
      ["set/img.v1.0", 0, undefined, 1],
      ["set/img.v1.1", 1, undefined, 2],
      ["set/LOUD", 2, undefined, 3],
    ]);
  });

  test("without classes: one class, with captions of txt or json", async () => {
    const png = await plainPng([5, 5, 5]);
    const { classes, rows, leftOut } = await read([
      ["./__MACOSX/._000.jpg", "x"],
      ["./000.png", png],
      ["./000.json", '{"caption": "not this one", "status": "success"}'],
      ["./000.txt", "\ufeffa cat’s café\r\n"],
      ["001.json", '{"caption": "two\\tbirds"}'],
      ["001.bmp", bmp24(4, [6, 6, 6])],
      ["stats.json", "{}"],
      ["000.npy", "x"],
    ]);
    expect(classes).toEqual(["image"]);
    expect(rows).toEqual([
      ["set/000", 0, "a cat’s café", 5],
      ["set/001", 0, "two\tbirds", 6],
    ]);
    expect(leftOut).toEqual([
      { reason: "hidden or of the system", count: 1, first: "__MACOSX/._000.jpg" },
      { reason: "not named as an image", count: 1, first: "000.npy" },
      { reason: "text without an image", count: 1, first: "stats.json" },
    ]);
  });

  test("a key that comes twice, in a row or later, and mixed classes are refused by name", async () => {
    const one = await sample("1", 1, "0");
    const other = await plainPng([9, 9, 9]);
    await expect(read([...one, ...one])).rejects.toThrow(/1\.cls comes after 1\.cls, which has the same key/);
    await expect(read([...one, ["1.jpg", other]])).rejects.toThrow(/1\.jpg comes after 1\.png/);
    await expect(read([...one, ...(await sample("2", 2, "0")), ...one])).rejects.toThrow(/1\.cls comes apart from/);
    const captioned = [["3.png", other], ["3.txt", "three"]] as const; // biome-ignore format: pairs
    await expect(read([...one, ...captioned])).rejects.toThrow(
      /3\.png has no 3\.cls .*but .*: 1\.png has one; give all/,
    );
    await expect(read([...captioned, ...one])).rejects.toThrow(/1\.png has a class index.*but .*: 3\.png has none/);
    const archive = save(await tar(one));
    await expect(webDatasetSource([archive, archive])).rejects.toThrow(/is named twice/);
  });

  test("texts in another encoding name archive, file, line and byte", async () => {
    const png = await plainPng([0, 0, 0]);
    const caption = Buffer.from("first\nthe cat\x92s", "latin1");
    await expect(read([["a.png", png], ["a.txt", caption]])).rejects.toThrow(/\.tar: a\.txt: line 2, byte 13 .*0x92/); // biome-ignore format: pairs
    await expect(read([["a.png", png], ["a.json", "{"]])).rejects.toThrow(/\.tar: a\.json: not valid JSON/); // biome-ignore format: pairs
    const wide = Buffer.from("\ufeffa cat", "utf16le");
    expect((await read([["a.png", png], ["a.txt", wide]])).rows[0]![2]).toBe("a cat"); // biome-ignore format: pairs
  });

  test("files over the limits are passed over without being kept", async () => {
    const png = await plainPng([0, 0, 0]);
    const files = [...(await sample("1", 1, "0")), ["2.png", Buffer.alloc(3 * 2 ** 20)], ["2.cls", "1"]] as const;
    const options = { maxFileBytes: 2 ** 20 };
    await expect(read([...files], ".tar.gz", options)).rejects.toThrow(
      /: 2\.png: .*3 MiB is more than .*1 MiB.*--max-file-mib/,
    );
    const skipping = await read([...files], ".tar", { ...options, onBadImage: "skip" });
    expect(skipping.rows.map(([name]) => name)).toEqual(["set/1"]);
    await expect(read([["3.png", png], ["3.txt", "x".repeat(2 ** 20 + 1)]])).rejects.toThrow(/3\.txt has 1048577 bytes/); // biome-ignore format: pairs
  });

  test("reading may stop early", async () => {
    const files = await Promise.all(Array.from({ length: 50 }, (_, i) => sample(String(i), i, "0")));
    const source = await webDatasetSource([save(gzipSync(await tar(files.flat())), ".tar.gz")]);
    for await (const { pixels } of decodeSource(source, { size: 2 })) {
      expect(pixels[0]).toBe(0);
      break;
    }
  });
});

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const cifar = join(resolve(repository, process.env.TENSORAR_DATA ?? "../shared/data"), "cifar10-test.tar.gz");
if (!existsSync(cifar))
  console.log(`skipped: no ${cifar}; set TENSORAR_DATA to a folder with CIFAR-10 as WebDataset archives`);

test.skipIf(!existsSync(cifar))("CIFAR-10's test set: 1,000 images of each class", async () => {
  const counts = new Array(10).fill(0);
  const differing = new Set<string>();
  let count = 0;
  for await (const { label, pixels } of decodeSource(await webDatasetSource([cifar]), { size: 32 })) {
    counts[label]++;
    count++;
    differing.add(createHash("sha256").update(pixels).digest("hex"));
  }
  expect(counts).toEqual(new Array(10).fill(1000));
  expect(differing.size).toBeGreaterThan(0.99 * count);
});

describe("test images of their own", () => {
  const names = (text: string) => writeAt(join(root, `names-${archives++}.txt`), Buffer.from(text));

  test("are for the test alone; the others are for training and validation by their names", async () => {
    const many = await Promise.all(Array.from({ length: 40 }, (_, i) => sample(`train/${i}`, i, "0")));
    const source = await webDatasetSource([save(await tar(many.flat()))]);
    const held = await webDatasetSource([save(await tar(await sample("a", 200, "1")))]);
    const samples = await decodeAll(withTest(source, held, 0.5), { size: 2 });
    const splits = samples.map(({ split }) => split);
    expect(splits.filter((split) => split === "test")).toHaveLength(1);
    expect(samples.at(-1)).toMatchObject({
      split: "test",
      label: 1,
      name: expect.stringMatching(/^test\/set-\d+\/a$/),
    });
    for (const split of ["train", "validation"]) expect(splits).toContain(split);
    const again = await decodeAll(withTest(source, held, 0.5), { size: 2 });
    expect(again.map(({ split }) => split)).toEqual(splits);
  });

  test("have the classes of the others, in whatever order, and no new ones", async () => {
    const source = await webDatasetSource([save(await tar(await sample("a", 1, "0")))], {
      classNames: names("cat\ndog\n"),
    });
    const other = async (text: string) =>
      webDatasetSource([save(await tar(await sample("b", 2, "0")))], { classNames: names(text) });
    const [, test] = await decodeAll(withTest(source, await other("dog\ncat\n"), 0.5), { size: 2 });
    expect(test!.label).toBe(1);
    await expect(decodeAll(withTest(source, await other("cow\n"), 0.5), { size: 2 })).rejects.toThrow(
      /b\.png: class "cow" of the test images is none of set-\d+/,
    );
  });
});
