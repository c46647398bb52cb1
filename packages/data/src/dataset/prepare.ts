import { join } from "node:path";
import { crc32 } from "node:zlib";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder, replaceFile, writeFileAtomic } from "@tensorar/core/node";
import { createTally, describeLeftOut, type LeftOut, UNREADABLE } from "../files/left-out";
import { type DecodeOptions, decodeSource, type SkippedImage } from "../sources/decode";
import type { ImageSource } from "../sources/source";
import { CHANNELS, type DatasetInfo, FILES, type SampleLine } from "./format";

/** How images become a data set. */
export interface PrepareOptions extends Pick<DecodeOptions, "size" | "onBadImage" | "maxPixels" | "signal"> {
  /** Folder to make. */
  readonly out: string;
  /** Whether a data set that is there is replaced; default: no, it is an error. */
  readonly overwrite?: boolean;
  /** Fraction of the images kept for validation; default 0.1. */
  readonly validationFraction?: number;
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
  const { out, size, validationFraction = 0.1 } = options;
  if (!Number.isInteger(size) || size < 1)
    throw new TensorARError(`prepareDataset: size = ${size}; it is a positive number of pixels`);
  if (!(validationFraction > 0 && validationFraction < 1))
    throw new TensorARError(`prepareDataset: validationFraction = ${validationFraction}; it lies between 0 and 1`);
  const output = await openOutputFolder(out, {
    overwrite: options.overwrite ?? false,
    entries: Object.values(FILES),
    unlisted: [FILES.images], // of which each line of samples.jsonl has the checksum
  });
  return output.write(async (folder) => {
    const { samples, skipped } = await writeImages(source, join(folder, FILES.images), options);
    const info = describe(source, { size, validationFraction }, samples, skipped);
    await writeFileAtomic(join(folder, FILES.samples), samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""));
    await writeFileAtomic(join(folder, FILES.info), `${JSON.stringify(info, null, 2)}\n`);
    return info;
  });
}

async function writeImages(
  source: ImageSource,
  path: string,
  options: PrepareOptions,
): Promise<{ samples: SampleLine[]; skipped: SkippedImage[] }> {
  const samples: SampleLine[] = [];
  const skipped: SkippedImage[] = [];
  await replaceFile(path, async (put) => {
    for await (const { pixels, ...sample } of decodeSource(source, {
      ...options,
      onSkip: (image) => skipped.push(image),
    })) {
      await put(pixels);
      samples.push({ ...sample, crc32: crc32(pixels) });
      options.onProgress?.(samples.length + skipped.length, source.total);
    }
  });
  return { samples, skipped };
}

function describe(
  source: ImageSource,
  { size, validationFraction }: { size: number; validationFraction: number },
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
    split: { by: samples.some(({ split }) => split) ? "source" : "sha256(name)", validationFraction },
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
