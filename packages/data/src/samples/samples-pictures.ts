import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeNpz } from "@tensorar/checkpoint/node";
import { fileError, writeChecksums } from "@tensorar/core/node";
import sharp from "sharp";
import { imageGrid, savePng } from "../images/grid";
import { openSamples, type Samples } from "./samples-folder";
import { gridPath, imagesPath, npzPath, SHARD_SIZE } from "./samples-manifest";

/** Files of a folder of samples that hold the same images in forms that others open. */
export interface Forms {
  /** `images/000000.png` … */
  readonly png: boolean;
  /** `samples.npz` with uint8 `arr_0` [count, S, S, 3] */
  readonly npz: boolean;
}

/** What is written about samples beside them. */
export interface Pictures extends Forms {
  /** What stands below each image of the grid. */
  readonly titles?: ((image: number) => string) | undefined;
}

const pngName = (index: number): string => `${String(index).padStart(6, "0")}.png`;

/** Writes the images from `first` on as PNG files, each atomically. @param images uint8 [n, size, size, 3] */
export async function writePngs(dir: string, first: number, images: Uint8Array, size: number): Promise<void> {
  const folder = imagesPath(dir);
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw fileError("create the folder", folder, cause);
  });
  const bytes = size * size * 3;
  const raw = { width: size, height: size, channels: 3 } as const;
  await Promise.all(
    Array.from({ length: images.length / bytes }, async (_, i) => {
      const png = await sharp(images.subarray(i * bytes, (i + 1) * bytes), { raw })
        .png()
        .toBuffer();
      await savePng(join(folder, pngName(first + i)), png);
    }),
  );
}

/**
 * Ends the writing of samples whose shards are all there: brings their other forms in line with what is wanted, where what is
 * not wanted is removed, and writes `grid.png` and checksums.
 * @throws the reason of `signal` when it aborts
 */
export async function completeSamples(dir: string, { png, npz, titles }: Pictures, signal: AbortSignal): Promise<void> {
  const samples = await openSamples(dir);
  if (png) await writeMissingPngs(dir, samples, signal);
  else await remove(imagesPath(dir));
  if (npz) await writeImagesNpz(dir, samples, signal);
  else await remove(npzPath(dir));
  await writeGrid(dir, samples, titles);
  await writeChecksums(dir, ["manifest.json", "grid.png"]); // shards have theirs, and npz and PNG files are never read here
}

async function writeMissingPngs(dir: string, samples: Samples, signal: AbortSignal): Promise<void> {
  const folder = imagesPath(dir);
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return [];
    throw fileError("read the folder", folder, cause);
  });
  const there = new Set(names);
  for (let index = 0; index < samples.count; index++) {
    if (there.has(pngName(index))) continue;
    signal.throwIfAborted();
    await writePngs(dir, index, (await samples.read(index, 1)).images, samples.imageSize);
  }
}

async function writeImagesNpz(dir: string, samples: Samples, signal: AbortSignal): Promise<void> {
  const { count, imageSize } = samples;
  const rows = async function* () {
    for (let first = 0; first < count; first += SHARD_SIZE) {
      signal.throwIfAborted();
      yield (await samples.read(first, Math.min(SHARD_SIZE, count - first))).images;
    }
  };
  await writeNpz(npzPath(dir), {
    arr_0: { dtype: "uint8", shape: [count, imageSize, imageSize, 3], rows: rows() },
  });
}

/** Images of the grid, and pixels along its side, at most. */
const SHOWN = 256;
const GRID_SIDE = 4096;
/** Images smaller than this are enlarged; those with a title until it has room. */
const SMALL = 128;

async function writeGrid(dir: string, samples: Samples, titles: Pictures["titles"]): Promise<void> {
  const { count, imageSize: size } = samples;
  const enlarged = titles ? Math.ceil(SMALL / size) : 2;
  const scale = size < SMALL ? enlarged : 1;
  const fitting = Math.max(1, Math.floor(GRID_SIDE / (size * scale))) ** 2;
  const shown = Math.min(count, SHOWN, fitting);
  const { images } = await samples.read(0, shown);
  const captions = titles ? Array.from({ length: shown }, (_, image) => titles(image)) : [];
  await savePng(gridPath(dir), await imageGrid(images, { count: shown, height: size, width: size, scale, captions }));
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((cause) => {
    throw fileError("remove", path, cause);
  });
}
