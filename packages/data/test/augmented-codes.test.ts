import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  AUGMENTED,
  type AugmentationSource,
  announceAugmentedCodes,
  type Codes,
  loadCodes,
  saveCodes,
  writeAugmentedCodes,
} from "../src/index";
import { temporaryFolder } from "./data-helpers";

const root = temporaryFolder();

const T = 2;
const TRAIN = [0, 2, 3, 5, 6];
/** Flip and shift make nine variants of an image. */
const VARIANTS = 9;

const codes: Codes = {
  count: 7,
  grid: [1, T],
  vocabSize: 100,
  classes: ["only"],
  dataset: "none",
  tokenizer: "none",
  codes: new Int32Array(7 * T),
  labels: new Int32Array(7),
  train: Int32Array.from(TRAIN),
  validation: Int32Array.of(1, 4),
};

const source: AugmentationSource = {
  augment: ["flip", "shift"],
  shift: 1,
  cropRange: 1.1,
  images: TRAIN.length,
  tokens: T,
  shardSize: 2,
  source: "these images, this tokenizer",
};

/** Codes of a variant: 10 · image + variant, then one more. */
const codesOf = (image: number, variant: number) => [10 * image + variant, 10 * image + variant + 1];

/** What the images are that were encoded is noted. */
function encoder(seen: number[] = []) {
  return async (images: readonly number[]) => {
    seen.push(...images);
    return Int32Array.from(
      images.flatMap((image) => Array.from({ length: VARIANTS }, (_, variant) => codesOf(image, variant)).flat()),
    );
  };
}

async function begun(name: string): Promise<string> {
  const dir = join(root, name);
  await saveCodes(dir, codes);
  await announceAugmentedCodes(dir, source);
  return dir;
}

const files = (dir: string) => {
  const shards = join(dir, AUGMENTED, "shards");
  return Object.fromEntries(readdirSync(shards).map((name) => [name, readFileSync(join(shards, name))]));
};

const quiet = { batchSize: 2, onDone: () => {} };

test("variants are read as they were encoded, and the codes beside them stay as they were", async () => {
  const dir = await begun("whole");
  await expect(loadCodes(dir)).rejects.toThrow(/3 of 3 shards of variants are missing; continue with/);
  const done: number[] = [];
  await writeAugmentedCodes(dir, source, { encode: encoder(), batchSize: 2, onDone: (images) => done.push(images) });
  expect(done.at(-1)).toBe(TRAIN.length);
  const { augmented, ...plain } = await loadCodes(dir);
  expect(plain).toEqual(codes);
  expect(augmented!.variants).toBe(VARIANTS);
  const read = await augmented!.read([4, 0, 3, 4], [8, 0, 5, 1]);
  expect([...read]).toEqual([codesOf(4, 8), codesOf(0, 0), codesOf(3, 5), codesOf(4, 1)].flat());
});

test("what was stopped goes on with the shards that are missing or damaged, to the same bytes", async () => {
  const whole = await begun("through");
  await writeAugmentedCodes(whole, source, { ...quiet, encode: encoder() });
  const dir = await begun("stopped");
  const encode = encoder();
  const failing = async (images: readonly number[]) => {
    if (images.includes(4)) throw new Error("enough");
    return encode(images);
  };
  await expect(writeAugmentedCodes(dir, source, { ...quiet, encode: failing })).rejects.toThrow("enough");
  await expect(loadCodes(dir)).rejects.toThrow(/1 of 3 shards/);
  const path = join(dir, AUGMENTED, "shards", "00000.safetensors");
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  const seen: number[] = [];
  await writeAugmentedCodes(dir, source, { ...quiet, batchSize: 1, encode: encoder(seen) });
  expect(seen).toEqual([0, 1, 4]);
  expect(files(dir)).toEqual(files(whole));
});

test("variants of another source, of other codes, or changed since are refused", async () => {
  const dir = await begun("refused");
  await expect(
    writeAugmentedCodes(dir, { ...source, augment: ["flip"] }, { ...quiet, encode: encoder() }),
  ).rejects.toThrow(/begun with augment \["flip","shift"\], and it is \["flip"\] now/);
  await writeAugmentedCodes(dir, source, { ...quiet, encode: encoder() });
  const { augmented } = await loadCodes(dir);
  const path = join(dir, AUGMENTED, "shards", "00001.safetensors");
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  await expect(augmented!.read([2], [0])).rejects.toThrow(/00001.safetensors has changed since it was written/);
  await saveCodes(dir, { ...codes, train: Int32Array.of(0, 2) });
  rmSync(join(dir, "checksums.txt"));
  await expect(loadCodes(dir)).rejects.toThrow(/images is 5, and 2 in the codes beside it/);
});

test("codes beyond the codebook are refused when they are read", async () => {
  const dir = await begun("beyond");
  const encode = async (images: readonly number[]) => new Int32Array(images.length * VARIANTS * T).fill(100);
  await writeAugmentedCodes(dir, source, { ...quiet, encode });
  const { augmented } = await loadCodes(dir);
  await expect(augmented!.read([0], [0])).rejects.toThrow(/code 100 is outside \[0, 100\)/);
});
