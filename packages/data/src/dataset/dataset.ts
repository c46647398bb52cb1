import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { decodeText, parseJson, TensorARError } from "@tensorar/core";
import { checkFolder, readChecked, settleFolder } from "@tensorar/core/node";
import { CHANNELS, type DatasetInfo, datasetInfo, FILES, type SampleLine, sampleLine } from "./format";
import { type SplitIndices, splitAsChosen, splitByName } from "./split";

/** A prepared data set. Names, labels and captions are in memory; pixels stay in their file until asked for. */
export interface Dataset extends SplitIndices {
  readonly info: DatasetInfo;
  readonly count: number;
  /** Class names by label. */
  readonly classes: readonly string[];
  /** [count] */
  readonly labels: Int32Array;
  readonly names: readonly string[];
  /** Empty where an image has none, the first where it has several. */
  readonly captions: readonly string[];
  /** All captions of every image. */
  readonly allCaptions: readonly (readonly string[])[];
  /** Pixels of the images at `indices`, in that order: [n, size, size, 3]. */
  readImages(indices: ArrayLike<number>): Promise<Uint8Array>;
}

const WHAT = "a prepared data set (written by `tensorar data`)";
const AGAIN = "write the data set again with `tensorar data`";

/** @throws TensorARError naming file and value, when the folder is missing, truncated or contradicts itself */
export async function openDataset(dir: string): Promise<Dataset> {
  await settleFolder(dir);
  const info = await readChecked(join(dir, FILES.info), datasetInfo, WHAT);
  const samples = await readSamples(join(dir, FILES.samples), info);
  const imagesFile = join(dir, FILES.images);
  await expectSize(imagesFile, info);
  const names = samples.map(({ name }) => name);
  const splits = splitOf(join(dir, FILES.samples), info, samples);
  await checkFolder(dir); // last, since the checks above say more exactly what is wrong
  return {
    info,
    count: info.count,
    classes: info.classes.map(({ name }) => name),
    labels: Int32Array.from(samples, ({ label }) => label),
    names,
    captions: samples.map(({ caption }) => caption ?? ""),
    allCaptions: samples.map(({ caption, otherCaptions = [] }) => (caption ? [caption, ...otherCaptions] : [])),
    ...splits,
    readImages: async (indices) => {
      const pixels = await readImages(imagesFile, info, indices);
      expectChecksums(imagesFile, pixels, indices, samples);
      return pixels;
    },
  };
}

async function readSamples(file: string, { count, classes }: DatasetInfo): Promise<SampleLine[]> {
  const lines = decodeText(await orExplain(file, () => readFile(file)), file).split("\n");
  if (lines.at(-1) !== "" || lines.length - 1 !== count) {
    throw new TensorARError(
      `${file}: ${lines.length - 1} whole lines, but ${FILES.info} says ${count} images; ${AGAIN}`,
    );
  }
  const samples = lines.slice(0, -1).map((line, i) => parseSample(`${file}, line ${i + 1}`, line));
  const counts = new Int32Array(classes.length);
  samples.forEach(({ label }, i) => {
    if (label >= classes.length)
      throw new TensorARError(
        `${file}, line ${i + 1}: label ${label}, but ${FILES.info} has ${classes.length} classes; ${AGAIN}`,
      );
    counts[label]!++;
  });
  classes.forEach(({ name, count }, label) => {
    if (counts[label] !== count)
      throw new TensorARError(
        `${file}: ${counts[label]} images of class "${name}", but ${FILES.info} says ${count}; ${AGAIN}`,
      );
  });
  return samples;
}

function splitOf(file: string, { split }: DatasetInfo, samples: readonly SampleLine[]): SplitIndices {
  if (split.by !== "source")
    return splitByName(
      samples.map(({ name }) => name),
      split.validationFraction,
    );
  const chosen = samples.map((sample, i) => {
    if (sample.split !== undefined) return sample.split;
    throw new TensorARError(`${file}, line ${i + 1}: no "split", but ${FILES.info} says that each has one; ${AGAIN}`);
  });
  return splitAsChosen(chosen);
}

function parseSample(where: string, line: string): SampleLine {
  try {
    return sampleLine.parse(parseJson(line, where));
  } catch (error) {
    throw new TensorARError(
      `${where}: not {"name", "label", "caption"?} (${(error as Error).message.replace(/\s+/g, " ")}); ${AGAIN}`,
    );
  }
}

const imageBytes = ({ size }: DatasetInfo): number => size * size * CHANNELS;

async function expectSize(file: string, info: DatasetInfo): Promise<void> {
  const { size } = await orExplain(file, () => stat(file));
  const expected = info.count * imageBytes(info);
  if (size !== expected)
    throw new TensorARError(
      `${file}: ${size} bytes, but ${info.count} images of ${info.size} × ${info.size} × ${CHANNELS} take ${expected}; ${AGAIN}`,
    );
}

async function readImages(file: string, info: DatasetInfo, indices: ArrayLike<number>): Promise<Uint8Array> {
  const bytes = imageBytes(info);
  const out = new Uint8Array(indices.length * bytes);
  const handle = await orExplain(file, () => open(file));
  try {
    for (let start = 0; start < indices.length; ) {
      const run = consecutiveFrom(indices, start);
      const first = indices[start]!;
      if (!Number.isInteger(first) || first < 0 || first + run > info.count) {
        throw new TensorARError(`readImages: index ${first + run - 1}; ${file} holds images 0 to ${info.count - 1}`);
      }
      const { bytesRead } = await handle.read(out, start * bytes, run * bytes, first * bytes);
      if (bytesRead !== run * bytes)
        throw new TensorARError(
          `${file}: ends at image ${first + Math.floor(bytesRead / bytes)} since it was opened; ${AGAIN}`,
        );
      start += run;
    }
  } finally {
    await handle.close();
  }
  return out;
}

/** @throws TensorARError naming the image whose pixels are not those that were written */
function expectChecksums(
  file: string,
  pixels: Uint8Array,
  indices: ArrayLike<number>,
  samples: readonly SampleLine[],
): void {
  const bytes = pixels.length / indices.length;
  for (let i = 0; i < indices.length; i++) {
    const { name, crc32: expected } = samples[indices[i]!]!;
    if (expected !== undefined && crc32(pixels.subarray(i * bytes, (i + 1) * bytes)) !== expected)
      throw new TensorARError(`${file}: image ${indices[i]} (${name}) was damaged since it was written; ${AGAIN}`);
  }
}

/** Length of the run of indices that rise by one: such images are read at once, up to a limit that any system takes. */
function consecutiveFrom(indices: ArrayLike<number>, start: number): number {
  let run = 1;
  while (run < 1024 && start + run < indices.length && indices[start + run] === indices[start]! + run) run++;
  return run;
}

async function orExplain<T>(file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new TensorARError(
      `${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); is this folder ${WHAT}?`,
    );
  }
}
