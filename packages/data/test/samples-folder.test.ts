import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TensorRecord } from "@tensorar/checkpoint";
import { readSafetensors, writeSafetensors } from "@tensorar/checkpoint/node";
import { expect, test } from "vitest";
import { openImages } from "../src/images/image-stream";
import { type SampleRows, sliceOf } from "../src/samples/sample-rows";
import { openSamples } from "../src/samples/samples-folder";
import { beginSamples } from "../src/samples/samples-writer";
import { temporaryFolder } from "./data-helpers";
import { writeSamples } from "./tiny-samples";

const root = temporaryFolder();
const COUNT = 70;
const DESCRIPTION = {
  count: COUNT,
  imageSize: 2,
  windowSize: 2,
  grid: [1, 2] as [number, number],
  vocabSize: 9,
  classes: ["a", "b"],
  settings: { seed: 5 },
};
const numbers = (length: number, below: number) => Int32Array.from({ length }, (_, i) => (7 * i) % below);
const ROWS: SampleRows = {
  images: Uint8Array.from({ length: COUNT * 12 }, (_, i) => i),
  labels: numbers(COUNT, 2),
  codes: numbers(COUNT * 2, 9),
  trace: numbers(COUNT * 4, 9),
};

/** As one file, without checksums: what earlier versions wrote. */
async function writeOneFile(name: string, manifest: object = {}, tensors: TensorRecord = {}): Promise<string> {
  const dir = join(root, name);
  await mkdir(dir);
  const { vocabSize: _, ...description } = DESCRIPTION;
  await writeFile(join(dir, "manifest.json"), JSON.stringify({ ...description, ...manifest }));
  await writeSafetensors(join(dir, "samples.safetensors"), {
    images: { dtype: "uint8", shape: [COUNT, 2, 2, 3], data: ROWS.images },
    labels: { dtype: "int32", shape: [COUNT], data: ROWS.labels },
    codes: { dtype: "int32", shape: [COUNT, 2], data: ROWS.codes },
    trace: { dtype: "int32", shape: [COUNT, 2, 2], data: ROWS.trace },
    ...tensors,
  });
  return dir;
}

async function writeShards(name: string): Promise<string> {
  await writeSamples(join(root, name), DESCRIPTION, ROWS);
  return join(root, name);
}

test("shards and one file give back the same samples, across shards", async () => {
  for (const dir of [await writeShards("shards"), await writeOneFile("one file")]) {
    const samples = await openSamples(dir);
    expect(samples).toMatchObject({ count: COUNT, tokens: 2, classes: ["a", "b"], settings: { seed: 5 } });
    expect(samples.labels).toEqual(ROWS.labels);
    expect(await samples.read(0, COUNT)).toEqual(ROWS);
    expect(await samples.read(60, 10)).toEqual(sliceOf(DESCRIPTION, ROWS, 60, 10));
    const batches = [];
    for await (const { pixels } of (await openImages(dir)).batches(30)) batches.push(pixels);
    expect(Buffer.concat(batches)).toEqual(Buffer.from(ROWS.images));
  }
});

test("samples that leave a gap are refused by the writer", async () => {
  const writer = beginSamples(join(root, "gap"), DESCRIPTION, async () => undefined);
  await writer.add(0, sliceOf(DESCRIPTION, ROWS, 0, 10));
  await expect(writer.add(11, sliceOf(DESCRIPTION, ROWS, 11, 10))).rejects.toThrow(/samples 10 … 10 of .* left out/);
});

test("a count far beyond the shards is refused before anything is made for it", async () => {
  const dir = await writeShards("endless");
  await rm(join(dir, "checksums.txt"), { force: true });
  const manifest = JSON.parse(await readFile(join(dir, "manifest.json"), "utf8"));
  await writeFile(join(dir, "manifest.json"), JSON.stringify({ ...manifest, count: 2 ** 52 }));
  await expect(openSamples(dir)).rejects.toThrow(/only 128 of 4503599627370496 samples are there/);
  await expect(openSamples(await writeOneFile("endless file", { count: 2 ** 52 }))).rejects.toThrow(
    /images is uint8 \[70,2,2,3\], where/,
  );
  const sha256 = { "00000.safetensors": "", "1.safetensors": "" };
  await writeFile(join(dir, "manifest.json"), JSON.stringify({ ...manifest, shards: { size: 64, sha256 } }));
  await expect(openSamples(dir)).rejects.toThrow(/"1\.safetensors" is no shard of 70 images, 64 a shard/);
});

test("a manifest that its tensors disagree with", async () => {
  const refused = async (name: string, manifest: object, tensors?: TensorRecord) =>
    expect(openSamples(await writeOneFile(name, manifest, tensors))).rejects;
  await (await refused("count", { count: 71 })).toThrow(
    /samples\.safetensors: images is uint8 \[70,2,2,3\], where manifest\.json says uint8 \[71,2,2,3\]/,
  );
  await (await refused("size", { imageSize: 3 })).toThrow(/images is uint8 \[70,2,2,3\], .* \[70,3,3,3\]/);
  await (await refused("window", { windowSize: 1 })).toThrow(/trace is int32 \[70,2,2\], .* \[70,2,1\]/);
  await (await refused("grid", { grid: [2, 2] })).toThrow(/codes is int32 \[70,2\], .* \[70,4\]/);
  await (await refused("no window", { windowSize: 3 })).toThrow(/window of 3 does not fit a grid of 1 × 2/);
  await (await refused("classes", { classes: ["a"] })).toThrow(/label 1 of row 1 is none of the 1 classes/);
  await (await refused("extra", { colour: 1 })).toThrow(/colour/);
  const int8 = { dtype: "int8" as const, shape: [COUNT], data: new Int8Array(COUNT) };
  await (await refused("type", {}, { labels: int8 })).toThrow(/labels is int8 \[70\]/);
});

test("codes that are none", async () => {
  const codes = { dtype: "int32" as const, shape: [COUNT, 2], data: ROWS.codes.with(3, -1) };
  const negative = await openSamples(await writeOneFile("negative", {}, { codes }));
  await expect(negative.read(0, 1)).rejects.toThrow(/codes hold -1 at token 3 .* codes are 0 or more/);
  const trace = { dtype: "int32" as const, shape: [COUNT, 2, 2], data: ROWS.trace.with(5, 9) };
  const large = await openSamples(await writeOneFile("large", { vocabSize: 9 }, { trace }));
  await expect(large.read(0, 1)).rejects.toThrow(/trace hold 9 at token 2 .* codes are -1 … 8/);
});

test("shards that changed or are gone", async () => {
  const dir = await writeShards("changed");
  const file = join(dir, "shards", "00001.safetensors");
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
  const samples = await openSamples(dir);
  await samples.read(0, 64);
  await expect(samples.read(64, 1)).rejects.toThrow(/00001\.safetensors has changed since it was written/);
  const { images, ...rest } = await readSafetensors(file);
  await writeSafetensors(file, rest);
  await expect(openSamples(dir)).rejects.toThrow(/00001\.safetensors.*"images"/);
  await rm(file);
  await expect(openSamples(dir)).rejects.toThrow(/00001\.safetensors is missing/);
});
