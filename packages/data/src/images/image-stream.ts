import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type NpzFile, openNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { type Dataset, openDataset } from "../dataset/dataset";
import { decodeImage, type RgbImage, tryDecodeImage } from "../files/decode-image";
import { readImageFile, tooLarge } from "../files/image-file";
import { hasImageName, IMAGE_EXTENSIONS } from "../files/image-names";
import { createTally, describeLeftOut, type ImageCounts, NOT_NAMED, type Tally, UNREADABLE } from "../files/left-out";
import { listImages } from "../files/list-images";
import { readTar, TAR_NAME } from "../files/tar-files";
import { DEFAULT_IMAGE_OPTIONS, type ImageOptions } from "../limits";
import { openSamples } from "../samples/samples-folder";
import { holdsSamples } from "../samples/samples-manifest";

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
  /** Undefined where it is not known before the end, as with archives, and where bad images are skipped. */
  readonly count: number | undefined;
  /** At most `size` images each, in order; fewer where the next image has another size, or they are large. From the first again with every call. */
  batches(size: number): AsyncGenerator<ImageBatch>;
  /** What the last pass took and left out, so far. */
  counts(): ImageCounts;
}

/**
 * Images to evaluate: samples (written by `tensorar sample`), a prepared data set, a folder of image files at any depth, a tar
 * of them, or an `.npz` with uint8 `arr_0` as the evaluation suite of openai/guided-diffusion takes. Files are listed and
 * decoded as {@link listImages} and {@link decodeImage} say.
 *
 * @throws TensorARError when there is no such thing, or it holds no image
 */
export async function openImages(path: string, options: ImageOptions = DEFAULT_IMAGE_OPTIONS): Promise<ImageStream> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw fileError("read", path, cause);
    throw new TensorARError(`${path}: there is no such file or folder; give images`, { code: "missing", cause });
  });
  if (found.isFile() && path.toLowerCase().endsWith(".npz")) return npzImages(path);
  if (found.isFile() && TAR_NAME.test(path)) return encodedImages(path, undefined, archived(path, options), options);
  if (!found.isDirectory())
    throw new TensorARError(`${path}: neither a folder nor .npz nor .tar; give images in one of these`);
  if (holdsSamples(path)) {
    const samples = await openSamples(path);
    return squares(samples.count, samples.imageSize, async (first, held) => (await samples.read(first, held)).images);
  }
  if (await exists(join(path, "dataset.json"))) {
    const dataset = await openDataset(path);
    return datasetImages(
      dataset,
      Array.from({ length: dataset.count }, (_, i) => i),
    );
  }
  return folderImages(path, options);
}

/** Some images of a data set, such as those of a split. @param indices in the order wanted */
export function datasetImages({ info, readImages }: Dataset, indices: ArrayLike<number>): ImageStream {
  const taken = Array.from(indices);
  return squares(taken.length, info.size, (first, held) => readImages(taken.slice(first, first + held)));
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function folderImages(path: string, options: ImageOptions): Promise<ImageStream> {
  const listed = createTally();
  const files = await listImages(path, listed);
  if (files.length === 0) throw noImage(path, listed);
  const read = async function* (tally: Tally): AsyncGenerator<EncodedImage> {
    tally.merge(listed.list());
    for (const file of files) yield { where: file.path, load: () => readImageFile(file.path, options) };
  };
  return encodedImages(path, options.onBadImage === "skip" ? undefined : files.length, read, options);
}

const noImage = (path: string, tally: Tally): TensorARError =>
  new TensorARError(
    `${path} holds no image (${IMAGE_EXTENSIONS.join(", ")})${describeLeftOut(tally.list())}; give one with some`,
  );

function squares(
  count: number,
  size: number,
  read: (first: number, count: number) => Promise<Uint8Array>,
): ImageStream {
  return {
    count,
    counts: () => ({ taken: count, leftOut: [] }),
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
  await file.close();
  return {
    count,
    counts: () => ({ taken: count, leftOut: [] }),
    async *batches(most) {
      const file = await openNpz(path);
      try {
        for await (const { shape, data } of file.rows(name!, most))
          yield { count: shape[0]!, height, width, pixels: data as Uint8Array };
      } finally {
        await file.close();
      }
    },
  };
}

/** An image file, not yet read. */
interface EncodedImage {
  readonly where: string;
  load(): Promise<Uint8Array>;
}

type ReadImages = (tally: Tally) => AsyncGenerator<EncodedImage>;

function archived(archive: string, { maxFileBytes }: ImageOptions): ReadImages {
  return async function* (tally) {
    const most = (path: string): number | undefined => {
      if (hasImageName(path)) return maxFileBytes;
      tally.add(NOT_NAMED, path);
      return undefined;
    };
    for await (const { path, size, contents } of readTar(archive, most, tally)) {
      const where = `${archive}: ${path}`;
      yield {
        where,
        async load() {
          if (contents === undefined) throw tooLarge(where, size, maxFileBytes);
          return contents;
        },
      };
    }
  };
}

/** Pixels that wait for others of their size, in bytes: large images come in smaller batches. */
const HELD_BYTES = 2 ** 28;

function encodedImages(path: string, count: number | undefined, read: ReadImages, options: ImageOptions): ImageStream {
  let tally = createTally();
  let taken = 0;
  return {
    count,
    counts: () => ({ taken, leftOut: tally.list() }),
    async *batches(most) {
      tally = createTally();
      taken = 0;
      let held: RgbImage[] = [];
      for await (const { where, load } of read(tally)) {
        const skip = options.onBadImage === "skip";
        const image = await (skip ? tryDecodeImage : decodeImage)(where, load, options);
        if ("reason" in image) {
          tally.add(UNREADABLE, where);
          continue;
        }
        if (held[0] && !fits(held, image, most)) {
          yield batchOf(held);
          held = [];
        }
        held.push(image);
        taken++;
      }
      if (taken === 0) throw noImage(path, tally);
      yield batchOf(held);
    },
  };
}

function fits(held: readonly RgbImage[], { width, height }: RgbImage, most: number): boolean {
  const [first] = held as [RgbImage];
  const bytes = (held.length + 1) * width * height * 3;
  return held.length < most && first.width === width && first.height === height && bytes <= HELD_BYTES;
}

function batchOf(held: readonly RgbImage[]): ImageBatch {
  const [{ height, width }] = held as [RgbImage];
  const pixels = new Uint8Array(held.length * height * width * 3);
  for (const [i, { data }] of held.entries()) pixels.set(data, i * height * width * 3);
  return { count: held.length, height, width, pixels };
}
