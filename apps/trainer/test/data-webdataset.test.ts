import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { decodeSource } from "../src/data/decode";
import { webDatasetSource } from "../src/data/webdataset-source";
import { decodeAll, plain, plainPng, redAndBlue, temporaryFolder, writeAt } from "./data-helpers";

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
      /none\.txt: class names cannot be read/,
    );
  });

  test("refuses samples without image or class", async () => {
    const decode = async (files: Parameters<typeof tar>[0]) =>
      decodeAll(await webDatasetSource([save(await tar(files))]), { size: 2 });
    await expect(decode([["5.cls", "1"]])).rejects.toThrow(/: 5 has no image/);
    await expect(decode([["5.png", await plainPng([0, 0, 0])]])).rejects.toThrow(/5\.png has no 5\.cls/);
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
      join(root, "none.tar"),
    ]) {
      await expect(decode(archive), archive).rejects.toThrow(`${archive}: not a whole tar archive (`);
    }
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
