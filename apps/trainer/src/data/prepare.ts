import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { fileError, writeFolderAtomic } from "@tensorar/core/node";
import { createTally, describeLeftOut, type LeftOut, UNREADABLE } from "../input/left-out";
import { type DecodeOptions, decodeSource, type SkippedImage } from "./decode";
import { CHANNELS, type DatasetInfo, FILES, type SampleLine } from "./format";
import type { ImageSource } from "./source";

export interface PrepareOptions extends Pick<DecodeOptions, "size" | "onBadImage" | "maxPixels" | "signal"> {
  /** Folder to make; it must not exist. */
  readonly out: string;
  /** Share of the images kept for validation; default 0.1. */
  readonly validationShare?: number;
  /** Called after every image; `total` where the source knows it. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/**
 * Decodes all images of a source into a folder that {@link openDataset} reads: complete, or not there at all.
 *
 * @returns what was written to `dataset.json`, with images by class and those that were skipped
 * @throws TensorARError for bad options, bad images, an existing or unwritable folder, fewer than two images, or a stop
 */
export async function prepareDataset(source: ImageSource, options: PrepareOptions): Promise<DatasetInfo> {
  const { out, size, validationShare = 0.1 } = options;
  if (!Number.isInteger(size) || size < 1)
    throw new TensorARError(`prepareDataset: size = ${size}; it is a positive number of pixels`);
  if (!(validationShare > 0 && validationShare < 1))
    throw new TensorARError(`prepareDataset: validationShare = ${validationShare}; it lies between 0 and 1`);
  let info: DatasetInfo | undefined;
  await orExplain(out, mkdir(dirname(resolve(out)), { recursive: true }));
  await writeFolderAtomic(resolve(out), async (folder) => {
    const { samples, skipped } = await writeImages(source, join(folder, FILES.images), options);
    info = describe(source, { size, validationShare }, samples, skipped);
    const lines = samples.map((sample) => `${JSON.stringify(sample)}\n`).join("");
    await orExplain(out, writeFile(join(folder, FILES.samples), lines));
    await orExplain(out, writeFile(join(folder, FILES.info), `${JSON.stringify(info, null, 2)}\n`));
  });
  return info!;
}

/** Only what is written goes through here: an input that can't be read is another's fault, and has another remedy. */
const orExplain = <T>(out: string, writing: Promise<T>): Promise<T> =>
  writing.catch((cause) => {
    throw fileError("write", out, cause);
  });

async function writeImages(
  source: ImageSource,
  path: string,
  options: PrepareOptions,
): Promise<{ samples: SampleLine[]; skipped: SkippedImage[] }> {
  const samples: SampleLine[] = [];
  const skipped: SkippedImage[] = [];
  const file = await orExplain(options.out, open(path, "wx"));
  try {
    for await (const { pixels, ...sample } of decodeSource(source, {
      ...options,
      onSkip: (image) => skipped.push(image),
    })) {
      await orExplain(options.out, append(file, pixels));
      samples.push(sample);
      options.onProgress?.(samples.length + skipped.length, source.total);
    }
  } finally {
    await file.close();
  }
  return { samples, skipped };
}

/** `writeFile` on a handle writes all bytes at its position; a plain `write` may stop short. */
const append = (file: FileHandle, bytes: Uint8Array): Promise<void> => file.writeFile(bytes);

function describe(
  source: ImageSource,
  { size, validationShare }: { size: number; validationShare: number },
  samples: readonly SampleLine[],
  skipped: readonly SkippedImage[],
): DatasetInfo {
  const leftOut = allLeftOut(source, skipped);
  if (samples.length < 2) {
    const found = `${samples.length} usable images${describeLeftOut(leftOut)}`;
    throw new TensorARError(`${source.name}: ${found}; training and validation need at least one each`);
  }
  const counts = new Map<number, number>();
  for (const { label } of samples) counts.set(label, (counts.get(label) ?? 0) + 1);
  const names = source.classes ?? Array.from({ length: Math.max(...counts.keys()) + 1 }, (_, label) => String(label));
  return {
    format: "tensorar-dataset-1",
    name: source.name,
    size,
    channels: CHANNELS,
    count: samples.length,
    classes: names.map((name, label) => ({ name, count: counts.get(label) ?? 0 })),
    split: { by: "sha256(name)", validationShare },
    attribution: [...source.attribution],
    skipped: [...skipped],
    leftOut,
  };
}

function allLeftOut(source: ImageSource, skipped: readonly SkippedImage[]): LeftOut[] {
  const tally = createTally();
  tally.merge(source.leftOut());
  for (const { file } of skipped) tally.add(UNREADABLE, file);
  return tally.list();
}
