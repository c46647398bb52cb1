import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { type NpzFile, openNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import sharp from "sharp";
import { openDataset } from "../data/dataset";
import { readTar } from "../data/tar-files";
import { openSamples } from "../folders/samples-folder";
import { holdsSamples } from "../folders/samples-manifest";

/** Images of one size that come together. */
export interface ImageBatch {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** [count, height, width, 3] */
  readonly pixels: Uint8Array;
}

/** Images that are read a few at a time. */
export interface ImageStream {
  /** Undefined where it is not known before the end, as with archives. */
  readonly count: number | undefined;
  /** At most `size` images each, in order; fewer where the next image has another size. */
  batches(size: number): AsyncGenerator<ImageBatch>;
}

const EXTENSIONS = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff"];
const isImage = (path: string): boolean => EXTENSIONS.includes(extname(path).toLowerCase());
const TAR = /\.(tar|tar\.gz|tgz)$/;
const WHITE = "#ffffff";

/**
 * Images to evaluate: samples (written by `tensorar sample`), a prepared data set, a folder of image files at any depth, a tar
 * of them, or an `.npz` with uint8 `arr_0` as the evaluation suite of openai/guided-diffusion takes. Grey becomes RGB, 16 bits
 * become 8, transparency white.
 *
 * @throws TensorARError when there is no such thing, or it holds no image
 */
export async function openImages(path: string): Promise<ImageStream> {
  if (!existsSync(path)) throw new TensorARError(`${path}: there is no such file or folder; give images`);
  if (path.endsWith(".npz")) return npzImages(path);
  if (TAR.test(path)) return encodedImages(path, undefined, tarFiles(path));
  if (!(await stat(path)).isDirectory())
    throw new TensorARError(`${path}: neither a folder nor .npz nor .tar; give images in one of these`);
  if (holdsSamples(path)) {
    const samples = await openSamples(path);
    return squares(samples.count, samples.imageSize, async (first, held) => (await samples.read(first, held)).images);
  }
  if (existsSync(join(path, "dataset.json"))) {
    const dataset = await openDataset(path);
    return squares(dataset.count, dataset.info.size, (first, held) =>
      dataset.readImages(Array.from({ length: held }, (_, i) => first + i)),
    );
  }
  const files = await imageFiles(path);
  if (files.length === 0)
    throw new TensorARError(`${path} holds no image (${EXTENSIONS.join(", ")}); give a folder with some`);
  return encodedImages(
    path,
    files.length,
    (async function* () {
      for (const file of files) yield { name: file, contents: await readFile(file) };
    })(),
  );
}

function squares(
  count: number,
  size: number,
  read: (first: number, count: number) => Promise<Uint8Array>,
): ImageStream {
  return {
    count,
    async *batches(most) {
      for (let first = 0; first < count; first += most) {
        const held = Math.min(most, count - first);
        yield { count: held, height: size, width: size, pixels: await read(first, held) };
      }
    },
  };
}

async function npzImages(path: string): Promise<ImageStream> {
  const file: NpzFile = await openNpz(path);
  const name = file.names.find((each) => each === "arr_0") ?? file.names[0];
  const { dtype, shape } = name === undefined ? { dtype: "nothing", shape: [] } : file.info(name);
  if (dtype !== "uint8" || shape.length !== 4 || shape[3] !== 3) {
    await file.close();
    throw new TensorARError(
      `${path}: holds ${name ?? "no array"}, ${dtype} [${shape}]; images are arr_0, uint8 [count, height, width, 3]`,
    );
  }
  const [count, height, width] = shape as [number, number, number];
  return {
    count,
    async *batches(most) {
      try {
        for await (const { shape, data } of file.rows(name!, most))
          yield { count: shape[0]!, height, width, pixels: data as Uint8Array };
      } finally {
        await file.close();
      }
    },
  };
}

async function* tarFiles(path: string) {
  for await (const { path: name, contents } of readTar(path, isImage)) yield { name: `${path}, ${name}`, contents };
}

function encodedImages(
  path: string,
  count: number | undefined,
  files: AsyncGenerator<{ readonly name: string; readonly contents: Uint8Array }>,
): ImageStream {
  return {
    count,
    async *batches(most) {
      let held: { data: Uint8Array; width: number; height: number }[] = [];
      let seen = 0;
      const flush = (): ImageBatch => {
        const [{ height, width }] = held as [(typeof held)[number]];
        const pixels = new Uint8Array(held.length * height * width * 3);
        for (const [i, { data }] of held.entries()) pixels.set(data, i * height * width * 3);
        const batch = { count: held.length, height, width, pixels };
        held = [];
        return batch;
      };
      for await (const { name, contents } of files) {
        const image = await decodeRgb(name, contents);
        const [first] = held;
        if (first && (held.length === most || first.width !== image.width || first.height !== image.height))
          yield flush();
        held.push(image);
        seen++;
      }
      if (held.length > 0) yield flush();
      if (seen === 0) throw new TensorARError(`${path} holds no image (${EXTENSIONS.join(", ")}); give one with some`);
    },
  };
}

/**
 * An encoded image as 8-bit RGB: turned upright, transparency white, grey repeated, 16 bits reduced to 8.
 * @param name for messages
 * @throws TensorARError when it can't be read
 */
export async function decodeRgb(name: string, contents: Uint8Array) {
  try {
    const { data, info } = await sharp(contents, { failOn: "error" })
      .autoOrient()
      .flatten({ background: WHITE })
      .toColourspace("srgb")
      .removeAlpha()
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels after the conversion to sRGB`);
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    throw new TensorARError(`${name}: not a readable image (${(cause as Error).message.trim()}); repair or remove it`, {
      cause,
    });
  }
}

/** Paths of the images below a folder, sorted. */
async function imageFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  return names
    .filter(isImage)
    .sort()
    .map((name) => join(dir, name));
}
