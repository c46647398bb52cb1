import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { writeNpz } from "@tensorar/checkpoint/node";
import sharp, { type Sharp } from "sharp";
import { pack } from "tar-stream";
import { prepareDataset } from "../../packages/data/src/dataset/prepare";
import { openImages } from "../../packages/data/src/images/image-stream";
import { csvSource } from "../../packages/data/src/sources/csv-source";
import { decodeSource } from "../../packages/data/src/sources/decode";
import { folderSource } from "../../packages/data/src/sources/folder-source";
import type { ImageSource } from "../../packages/data/src/sources/source";
import { webDatasetSource } from "../../packages/data/src/sources/webdataset-source";
import { expectRight, type Reader } from "../lib/reader";

const picture = (size: number): Sharp => {
  const data = Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * 37) % 251);
  return sharp(data, { raw: { width: size, height: size, channels: 3 } });
};

/** One image in every format. */
const encoded = async (): Promise<Record<string, Buffer>> => ({
  "a.png": await picture(9).png().toBuffer(),
  "b.jpg": await picture(9).jpeg().toBuffer(),
  "c.webp": await picture(9).webp().toBuffer(),
  "d.tiff": await picture(9).tiff().toBuffer(),
  "e.gif": await picture(9).gif().toBuffer(),
});

async function writeImageFolder(dir: string): Promise<void> {
  for (const folder of ["cats", "dogs"]) {
    await mkdir(join(dir, folder), { recursive: true });
    for (const [name, bytes] of Object.entries(await encoded())) await writeFile(join(dir, folder, name), bytes);
  }
}

export async function writeDataset(dir: string): Promise<void> {
  const images = join(dir, "..", "images of the data set");
  await writeImageFolder(images);
  await prepareDataset(await folderSource(images), { out: join(dir, "dataset"), size: 4 });
}

async function webDataset(): Promise<Buffer> {
  const archive = pack();
  const images = Object.entries(await encoded()).slice(0, 3);
  for (const [i, [name, bytes]] of images.entries()) {
    const key = `train/000${i}`;
    archive.entry({ name: `${key}.cls` }, Buffer.from(String(i % 2)));
    archive.entry({ name: `${key}.txt` }, Buffer.from(`a picture, number ${i}\n`));
    archive.entry({ name: `${key}.${name.slice(2)}` }, bytes);
  }
  archive.finalize();
  return buffer(archive);
}

const SIZE = 6;

async function decodeAll(source: ImageSource): Promise<void> {
  for await (const { label, pixels } of decodeSource(source, { size: SIZE })) {
    expectRight(pixels.length === SIZE * SIZE * 3, `${pixels.length} bytes of pixels`);
    expectRight(Number.isInteger(label) && label >= 0, `label ${label}`);
    expectRight(source.classes === undefined || label < source.classes.length, `label ${label} has no class`);
  }
}

export const imageReaders: readonly Reader[] = [
  {
    name: "images",
    async seeds(dir) {
      await mkdir(join(dir, "folder"));
      for (const [name, bytes] of Object.entries(await encoded())) await writeFile(join(dir, "folder", name), bytes);
      await writeFile(join(dir, "some.tar"), await webDataset());
      const data = new Uint8Array(3 * 8 * 8 * 3).fill(9);
      await writeNpz(join(dir, "some.npz"), { arr_0: { dtype: "uint8", shape: [3, 8, 8, 3], data } });
    },
    async read(path) {
      for await (const { count, height, width, pixels } of (await openImages(path)).batches(2))
        expectRight(
          count > 0 && pixels.length === count * height * width * 3,
          `${count} images of ${height} x ${width}`,
        );
    },
  },
  {
    name: "image-folder",
    seeds: (dir) => writeImageFolder(join(dir, "images")),
    read: async (path) => decodeAll(await folderSource(path)),
  },
  {
    name: "csv",
    async seeds(dir) {
      const folder = join(dir, "set");
      await writeImageFolder(folder);
      const rows = ["image,caption,class", 'cats/a.png,"a cat, red",cat', "dogs/b.jpg,a dog,dog", "dogs/c.webp,,dog"];
      await writeFile(join(folder, "list.csv"), `${rows.join("\n")}\n`);
    },
    read: async (path) => decodeAll(await csvSource(join(path, "list.csv"))),
  },
  {
    name: "webdataset",
    async seeds(dir) {
      const archive = await webDataset();
      await writeFile(join(dir, "plain.tar"), archive);
      await writeFile(join(dir, "packed.tar.gz"), gzipSync(archive));
    },
    read: async (path) => decodeAll(await webDatasetSource([path])),
  },
];
