import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openCaptionFeatures, writeCaptionFeatures } from "../src";

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), "tensorar-captions-"));
});
afterEach(() => rm(out, { recursive: true }));

const TEXTS = [["a", "ab"], ["abc"], ["ab"], ["", "abcd", "a"], ["b"]];
const SIZE = { maxLength: 4, width: 2 } as const;

/** Two features for each letter, which float16 holds exactly; of `calls`, the texts that were asked for. */
const encoder = (calls: string[][]) => async (texts: readonly string[]) => {
  calls.push([...texts]);
  return texts.map((text) => Float32Array.from([...text].flatMap((letter, i) => [letter.charCodeAt(0), i / 8])));
};

const write = (settings: object = {}, calls: string[][] = [], changes: object = {}) => {
  const source = { ...SIZE, padding: "left", dtype: "float16", encoder: "hash", texts: TEXTS, shardSize: 2 } as const;
  const work = { out, resume: false, overwrite: false, ...settings };
  return writeCaptionFeatures(work, { ...source, ...changes }, encoder(calls), () => {});
};

test.each(["float32", "float16"] as const)("features are read back as they were made, padded: %s", async (dtype) => {
  const calls: string[][] = [];
  await write({}, calls, { dtype });
  expect(calls).toEqual([["a", "ab", "abc"], ["ab", "", "abcd", "a"], ["b"]]); // each text of a shard once
  const features = await openCaptionFeatures(out);
  expect(features).toMatchObject({ images: 5, ...SIZE, dtype });
  const [a, b] = [97, 98];
  expect(await features.read(0, 0)).toEqual({
    features: Float32Array.of(0, 0, 0, 0, 0, 0, a, 0),
    mask: Float32Array.of(0, 0, 0, 1),
    dropped: false,
  });
  expect((await features.read(0, 0.5)).features).toEqual(Float32Array.of(0, 0, 0, 0, a, 0, b, 1 / 8));
  expect((await features.read(0, 0.999)).mask).toEqual(Float32Array.of(0, 0, 1, 1));
  expect((await features.read(3, 0.4)).mask).toEqual(Float32Array.of(1, 1, 1, 1));
  expect((await features.read(4, 0)).features).toEqual(Float32Array.of(0, 0, 0, 0, 0, 0, b, 0));
  // A caption without words is none.
  expect(await features.read(3, 0)).toEqual({
    features: new Float32Array(8),
    mask: Float32Array.of(0, 0, 0, 1),
    dropped: true,
  });
});

test("padding at the right", async () => {
  await write({}, [], { padding: "right" });
  const { mask, features } = await (await openCaptionFeatures(out)).read(2, 0);
  expect(mask).toEqual(Float32Array.of(1, 1, 0, 0));
  expect(features.subarray(4)).toEqual(new Float32Array(4));
});

test("a run that was stopped goes on, and makes damaged shards again", async () => {
  const whole = async () => {
    const names = (await readdir(join(out, "shards"))).sort();
    const bytes = await Promise.all(names.map((name) => readFile(join(out, "shards", name), "base64")));
    return { names, bytes, index: await readFile(join(out, "captions.json"), "utf8") };
  };
  await write();
  const first = await whole();
  expect(first.names).toHaveLength(3);

  const reason = new Error("stopped");
  let asked = 0;
  const failing = writeCaptionFeatures(
    { out, resume: false, overwrite: true },
    { ...SIZE, padding: "left", dtype: "float16", encoder: "hash", texts: TEXTS, shardSize: 2 },
    (texts) => (++asked === 2 ? Promise.reject(reason) : encoder([])(texts)),
    () => {},
  );
  await expect(failing).rejects.toBe(reason);
  await expect(openCaptionFeatures(out)).rejects.toThrow(/2 of 3 shards are missing; continue with .*--resume/);
  const calls: string[][] = [];
  await write({ resume: true }, calls);
  expect(calls).toHaveLength(2);
  expect(await whole()).toEqual(first);

  await truncate(join(out, "shards", "00001.safetensors"), 100);
  await expect(openCaptionFeatures(out)).rejects.toThrow(/00001\.safetensors.*continue with .*--resume/);
  const again: string[][] = [];
  await write({ resume: true }, again);
  expect(again).toEqual([["ab", "", "abcd", "a"]]);
  expect(await whole()).toEqual(first);
});

test("a changed shard is found when it is read", async () => {
  await write();
  const path = join(out, "shards", "00000.safetensors");
  const bytes = await readFile(path);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(path, bytes);
  const features = await openCaptionFeatures(out);
  await expect(features.read(1, 0)).rejects.toThrow(/00000\.safetensors has changed since it was written/);
  await expect(features.read(2, 0)).resolves.toBeDefined(); // of another shard
});

test.each<[string, () => Promise<unknown>, RegExp]>([
  [
    "another data set",
    () => write({ resume: true }, [], { texts: [["other"], ...TEXTS.slice(1)] }),
    /was begun with texts/,
  ],
  [
    "another format",
    () => write({ resume: true }, [], { dtype: "float32" }),
    /was begun with dtype "float16", and it is "float32" now/,
  ],
  ["work in the way", () => write(), /already holds features of captions; continue with --resume/],
])("%s is refused", async (_, act, message) => {
  await write();
  await expect(act()).rejects.toThrow(message);
});

test("features beyond float16 are refused", async () => {
  const large = writeCaptionFeatures(
    { out, resume: false, overwrite: false },
    { ...SIZE, padding: "left", dtype: "float16", encoder: "hash", texts: [["a"]] },
    async () => [Float32Array.of(1, 70_000)],
    () => {},
  );
  await expect(large).rejects.toThrow(/beyond float16's 65504; use --dtype float32/);
});
