import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { fillUniform } from "@tensorar/noise";
import { expectTensor } from "@tensorar/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { vqShapes } from "../src";
import { loadTokenizer, saveTokenizer, type TokenizerFolder } from "../src/node";
import { TINY } from "./tiny";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tensorar-tokenizer-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Multiples of an eighth, which float16 holds exactly, or float32 numbers in [1, 2], which it does not. */
function described(unit: "exact" | "fine"): TokenizerFolder {
  const tensors = Object.entries(vqShapes(TINY)).map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    fillUniform(data, 1, name);
    for (let i = 0; i < data.length; i++) data[i] = unit === "exact" ? Math.floor(data[i]! * 64) / 8 - 4 : 1 + data[i]!;
    return [name, { dtype: "float32" as const, shape, data }];
  });
  return { kind: "vq", imageSize: 8, config: TINY, training: { seed: 3 }, tensors: Object.fromEntries(tensors) };
}

/** Exact, element by element; `toEqual` takes long for so many numbers. */
function expectSame({ tensors, ...description }: TokenizerFolder, expected: TokenizerFolder): void {
  const { tensors: originals, ...rest } = expected;
  expect(description).toEqual(rest);
  expect(Object.keys(tensors).sort()).toEqual(Object.keys(originals).sort());
  for (const [name, tensor] of Object.entries(tensors)) {
    expect(tensor.dtype, name).toBe("float32");
    const data = (each: TensorData) => ({ shape: each.shape, data: each.data as Float32Array });
    expectTensor(name, data(tensor), data(originals[name]!), { atol: 0, rtol: 0 });
  }
}

test.each(["float32", "float16"] as const)("what %s holds exactly is read back as float32", async (dtype) => {
  const tokenizer = described("exact");
  await saveTokenizer(folder, tokenizer, dtype);
  expectSame(await loadTokenizer(folder), tokenizer);
  expect((await readdir(folder)).sort()).toEqual(["checksums.txt", "config.json", "model.safetensors"]);
});

test("float16 halves the file and rounds to nearest", async () => {
  const tokenizer = described("fine");
  const size = async () => (await stat(join(folder, "model.safetensors"))).size;
  await saveTokenizer(folder, tokenizer, "float32");
  const full = await size();
  expectSame(await loadTokenizer(folder), tokenizer);

  await saveTokenizer(folder, tokenizer, "float16");
  const elements = Object.values(tokenizer.tensors).reduce((sum, { data }) => sum + data.length, 0);
  expect(full - (await size())).toBeGreaterThanOrEqual(2 * elements - 256); // the header may change by some bytes
  const { tensors } = await loadTokenizer(folder);
  // In [1, 2] a float16 step is 2^-10, so that nearest is at most half of that away.
  for (const [name, { data }] of Object.entries(tensors)) {
    const original = tokenizer.tensors[name]!.data as Float32Array;
    const worst = (data as Float32Array).reduce((max, value, i) => Math.max(max, Math.abs(value - original[i]!)), 0);
    expect(worst, name).toBeLessThanOrEqual(2 ** -11);
    expect(worst, name).toBeGreaterThan(0);
  }
});

interface ConfigFile {
  [key: string]: unknown;
  config?: Record<string, unknown>;
}

async function rewriteConfig(change: (file: ConfigFile) => void): Promise<void> {
  const path = join(folder, "config.json");
  const file = JSON.parse(await readFile(path, "utf8"));
  change(file);
  await writeFile(path, JSON.stringify(file));
}

test.each<[string, (file: ConfigFile) => void, RegExp]>([
  ["another kind", (file) => (file.kind = "lfq"), /config\.json: not a tokenizer folder.*kind/s],
  ["an unknown key", (file) => (file.size = 8), /config\.json: not a tokenizer folder.*size/s],
  ["no config", (file) => delete file.config, /config\.json: not a tokenizer folder.*config/s],
  ["a bad config", (file) => (file.config!.ch = 33), /config\.json: VQ config: ch = 33/],
  ["images that do not divide", (file) => (file.imageSize = 9), /config\.json: image of 9 x 9 pixels does not divide/],
  [
    "a config of other weights",
    (file) => (file.config!.z_channels = 16),
    /model\.safetensors: tensors do not fit.*"encoder\.conv_out\.weight" is \[8,32,3,3\], not \[16,32,3,3\]/,
  ],
])("a folder with %s is refused, naming the file", async (_, change, message) => {
  await saveTokenizer(folder, described("exact"), "float32");
  await rewriteConfig(change);
  await expect(loadTokenizer(folder)).rejects.toThrow(message);
});

test("a folder without files is refused", async () => {
  await expect(loadTokenizer(folder)).rejects.toThrow(
    /config\.json: there is no such file; expected a tokenizer folder/,
  );
  await saveTokenizer(folder, described("exact"), "float32");
  await rm(join(folder, "model.safetensors"));
  await expect(loadTokenizer(folder)).rejects.toThrow(/model\.safetensors/);
});

test("what could not be loaded is not saved", async () => {
  const tokenizer = described("exact");
  const { "quant_conv.bias": _, ...rest } = tokenizer.tensors;
  const wrong: [TokenizerFolder, RegExp][] = [
    [{ ...tokenizer, tensors: rest }, /saveTokenizer: tensors do not fit.*"quant_conv\.bias" \[4\] is missing/],
    [{ ...tokenizer, imageSize: 7 }, /saveTokenizer: image of 7 x 7 pixels/],
    [{ ...tokenizer, config: { ...TINY, ch: 1 } }, /saveTokenizer: VQ config: ch = 1/],
  ];
  for (const [each, message] of wrong) await expect(saveTokenizer(folder, each, "float32")).rejects.toThrow(message);
  expect(await readdir(folder)).toEqual([]);
});

test("a flipped bit of the weights, and a config that was edited, are found", async () => {
  await saveTokenizer(folder, described("exact"), "float32");
  const weights = join(folder, "model.safetensors");
  const whole = await readFile(weights);
  const flipped = Buffer.from(whole);
  flipped[flipped.length - 5]! ^= 4; // of an element
  await writeFile(weights, flipped);
  await expect(loadTokenizer(folder)).rejects.toThrow(`${weights}: other contents than checksums.txt lists`);
  await writeFile(weights, whole);
  await rewriteConfig((file) => {
    file.training = { seed: 4 };
  });
  await expect(loadTokenizer(folder)).rejects.toThrow(/config\.json: .*remove its line/);
  const list = join(folder, "checksums.txt");
  const lines = (await readFile(list, "utf8")).split("\n").filter((line) => !line.endsWith(" config.json"));
  await writeFile(list, lines.join("\n"));
  expect(await loadTokenizer(folder)).toMatchObject({ training: { seed: 4 } });
});

test.each([
  [{ num_res_blocks: 1e8 }, /num_res_blocks = 100000000/],
  [{ encoder_ch_mult: new Array(1e6).fill(1) }, /encoder_ch_mult/],
])("counts that would be looped over for hours are refused at once", async (change, message) => {
  await saveTokenizer(folder, described("exact"), "float32");
  await rewriteConfig((file) => {
    file.config = { ...TINY, ...change };
  });
  const begun = performance.now();
  await expect(loadTokenizer(folder)).rejects.toThrow(message);
  expect(performance.now() - begun).toBeLessThan(5000); // hours without the limit
});
