import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { rowTensors } from "../../packages/data/src/samples/sample-rows";
import { openSamples } from "../../packages/data/src/samples/samples-folder";
import { writeSamples } from "../../packages/data/test/tiny-samples";
import { expectRight, type Reader } from "../lib/reader";

const DESCRIPTION = {
  count: 3,
  imageSize: 4,
  windowSize: 2,
  grid: [2, 2] as [number, number],
  vocabSize: 9,
  classes: ["a", "b"],
  settings: { seed: 1 },
};
const ROWS = {
  images: new Uint8Array(3 * 4 * 4 * 3).fill(100),
  labels: Int32Array.of(0, 1, 0),
  codes: new Int32Array(3 * 4).fill(2),
  trace: new Int32Array(3 * 4 * 2).fill(2),
};

export const writeTinySamples = (dir: string): Promise<void> => writeSamples(dir, DESCRIPTION, ROWS);

/** As one file without checksums, which earlier versions wrote: changes of it reach further. */
async function writeOneFile(dir: string): Promise<void> {
  await mkdir(dir);
  await writeFile(join(dir, "manifest.json"), JSON.stringify(DESCRIPTION, null, 2));
  await writeSafetensors(join(dir, "samples.safetensors"), rowTensors(DESCRIPTION, ROWS, DESCRIPTION.count));
}

export const samplesReader: Reader = {
  name: "samples",
  async seeds(dir) {
    await writeTinySamples(join(dir, "shards"));
    await writeOneFile(join(dir, "one-file"));
  },
  async read(path) {
    const samples = await openSamples(path);
    const { count, imageSize, tokens, windowSize, labels, classes } = samples;
    expectRight(labels.length === count && labels.every((label) => label < classes.length), "labels do not fit");
    const { images, codes, trace } = await samples.read(0, count);
    expectRight(images.length === count * imageSize ** 2 * 3, "images do not fit");
    expectRight(codes.length === count * tokens && trace.length === codes.length * windowSize, "codes do not fit");
  },
};
