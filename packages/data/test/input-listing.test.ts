import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTally } from "../src/files/left-out";
import { listImages } from "../src/files/list-images";
import { openImages } from "../src/images/image-stream";
import { DEFAULT_IMAGE_OPTIONS } from "../src/limits";
import { folderSource } from "../src/sources/folder-source";
import { bmp24, plain, plainPng, temporaryFolder, writeAt } from "./data-helpers";

const root = temporaryFolder();
let folders = 0;
const fresh = () => join(root, String(folders++));

async function messyFolder(): Promise<string> {
  const dir = fresh();
  for (const i of [10, 2, 1]) writeAt(join(dir, `${i}.png`), await plainPng([i, i, i]));
  writeAt(join(dir, "step-5.png", "0.PNG"), await plainPng([5, 5, 5])); // a folder named like an image
  writeAt(join(dir, "deep", "b.bmp"), bmp24(6, [7, 8, 9]));
  writeAt(join(dir, "photo.JFIF"), await plain([3, 3, 3]).jpeg().toBuffer());
  writeAt(join(dir, "._1.png"), "\0\x05\x16\x07");
  writeAt(join(dir, ".ipynb_checkpoints", "1-checkpoint.png"), await plainPng([1, 1, 1]));
  writeAt(join(dir, "__MACOSX", "1.png"), "x");
  writeAt(join(dir, "Thumbs.db"), "x");
  writeAt(join(dir, "notes.txt"), "hello");
  writeAt(join(dir, "unnamed.dat"), await plainPng([4, 4, 4]));
  symlinkSync(join(dir, "nowhere.png"), join(dir, "dangling.png"));
  symlinkSync("loop.png", join(dir, "loop.png"));
  symlinkSync(dir, join(dir, "again"));
  return dir;
}

const TAKEN = ["1.png", "2.png", "10.png", "deep/b.bmp", "photo.JFIF", "step-5.png/0.PNG"];

describe("images below a folder", () => {
  test("hidden files, links to nothing and circles are left out, folders named like images are entered", async () => {
    const dir = await messyFolder();
    execFileSync("mkfifo", [join(dir, "pipe.png")]);
    const tally = createTally();
    expect((await listImages(dir, tally)).map(({ name }) => name)).toEqual(TAKEN);
    const counts = Object.fromEntries(tally.list().map(({ reason, count, first }) => [reason, [count, first]]));
    expect(counts).toEqual({
      "hidden or of the system": [4, "._1.png"],
      "link to nothing": [1, "dangling.png"],
      "link to itself": [1, "loop.png"],
      "no file but a pipe, socket or device": [1, "pipe.png"],
      "link to a folder that was listed already": [1, "again"],
      "not named as an image": [1, "notes.txt"],
      "a PNG image under a name that is not read": [1, "unnamed.dat"],
    });
  });

  test.skipIf(process.platform !== "linux")("a name that is not UTF-8 is named and never opened", async () => {
    const dir = fresh();
    writeAt(join(dir, "a.png"), "");
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/caf`), Buffer.of(0xe9), Buffer.from(".png")]), "");
    const tally = createTally();
    expect((await listImages(dir, tally)).map(({ name }) => name)).toEqual(["a.png"]);
    expect(tally.list()).toEqual([{ reason: "name is not UTF-8", count: 1, first: "caf\\xE9.png" }]);
  });

  test("links to folders that hold links double nothing", async () => {
    const dir = fresh();
    mkdirSync(dir);
    // Each level is linked twice from the one before: 2^20 ways to the last one.
    for (let i = 0; i < 20; i++) mkdirSync(join(dir, `level${i}`));
    for (let i = 0; i < 19; i++)
      for (const name of ["x", "y"]) symlinkSync(join(dir, `level${i + 1}`), join(dir, `level${i}`, name));
    writeAt(join(dir, "level19", "0.png"), "");
    expect(await listImages(dir, createTally())).toHaveLength(1);
  });

  test("every reader takes the same images and counts the same files", async () => {
    const dir = await messyFolder();
    const stream = await openImages(dir);
    expect(stream.count).toBe(TAKEN.length);
    const firsts: number[] = [];
    for await (const { count, pixels } of stream.batches(4))
      for (let i = 0; i < count; i++) firsts.push(pixels[i * 6 * 6 * 3]!);
    expect(firsts).toEqual([1, 2, 10, 7, 3, 5]); // red of each image, in natural order of the names
    expect(stream.counts().taken).toBe(TAKEN.length);
    const parent = fresh();
    mkdirSync(parent);
    symlinkSync(dir, join(parent, "only"));
    const source = await folderSource(parent);
    expect(source.total).toBe(TAKEN.length);
    const reasons = (list: readonly { reason: string; count: number }[]) =>
      list.map(({ reason, count }) => [reason, count]);
    expect(reasons(source.leftOut())).toEqual(reasons(stream.counts().leftOut));
  });

  test("classes follow the natural order of their folders", async () => {
    const dir = fresh();
    for (const name of ["10", "9", "100", "n2", "n10"]) writeAt(join(dir, name, "0.png"), "");
    expect((await folderSource(dir)).classes).toEqual(["9", "10", "100", "n2", "n10"]);
  });

  test("a file of class names gives all labels, also those of classes without images", async () => {
    const dir = fresh();
    for (const name of ["1", "10"]) writeAt(join(dir, name, "0.png"), "");
    const classNames = writeAt(join(root, "eleven.txt"), Array.from({ length: 11 }, (_, i) => `${i}\r\n`).join(""));
    const source = await folderSource(dir, { classNames });
    expect(source.classes).toHaveLength(11);
    expect(Array.from(source.entries(1) as Iterable<{ label: number }>, ({ label }) => label)).toEqual([1, 10]);
    writeAt(join(dir, "dog", "0.png"), "");
    await expect(folderSource(dir, { classNames })).rejects.toThrow(/class "dog" is none of the 11 in .*eleven\.txt/);
  });
});

describe("bad images of a stream", () => {
  const read = async (dir: string, onBadImage: "error" | "skip") => {
    const stream = await openImages(dir, { ...DEFAULT_IMAGE_OPTIONS, onBadImage });
    const counts: number[] = [];
    for await (const { count } of stream.batches(2)) counts.push(count);
    return { counts, ...stream.counts() };
  };

  test("stop it, or are left out and counted", async () => {
    const dir = fresh();
    for (const i of [0, 1, 3]) writeAt(join(dir, `${i}.png`), await plainPng([i, i, i]));
    writeAt(join(dir, "2.png"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3172\n");
    await expect(read(dir, "error")).rejects.toThrow(
      /2\.png: not a readable image: it is a Git LFS pointer.*git lfs pull/,
    );
    expect(await read(dir, "skip")).toEqual({
      counts: [2, 1],
      taken: 3,
      leftOut: [{ reason: "not a readable image", count: 1, first: join(dir, "2.png") }],
    });
  });

  test("a file larger than the limit is not read", async () => {
    const dir = fresh();
    writeAt(join(dir, "0.png"), await plainPng([0, 0, 0]));
    const sparse = writeAt(join(dir, "1.png"), "");
    truncateSync(sparse, 2 ** 40);
    await expect(read(dir, "error")).rejects.toThrow(
      /1048576 MiB is more than an image file may have \(128 MiB\); raise --max-file-mib/,
    );
    expect((await read(dir, "skip")).taken).toBe(1);
  });
});
