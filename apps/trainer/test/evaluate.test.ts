import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNpz, writeNpz, writeSafetensors } from "@tensorar/checkpoint/node";
import { type ImageBatch, openImages } from "@tensorar/data";
import { mergeSums, metricsOf, type ReconstructionSums, writeSums } from "@tensorar/evaluation";
import { inceptionShapes, lpipsShapes } from "@tensorar/metrics/features";
import { createStream } from "@tensorar/noise";
import { TINY_VQ } from "@tensorar/testing";
import { type VqConfig, vqShapes } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli";

// With random weights the numbers mean nothing, but what must be equal is equal. That the network is FID's is tested in
// @tensorar/metrics.

const [COUNT, SIZE] = [10, 24];
let dir: string;
let weights: string;
let pixels: Uint8Array;

/** Images of one colour with a square of another. */
function draw(seed: number): Uint8Array {
  const random = createStream(seed, "images");
  const out = new Uint8Array(COUNT * SIZE * SIZE * 3);
  for (let image = 0; image < COUNT; image++) {
    const [back, front] = [0, 1].map(() => Array.from({ length: 3 }, () => random.below(256)));
    const [top, left] = [random.below(SIZE / 2), random.below(SIZE / 2)];
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++) {
        const inside = y >= top && y < top + SIZE / 2 && x >= left && x < left + SIZE / 2;
        out.set(inside ? front! : back!, ((image * SIZE + y) * SIZE + x) * 3);
      }
  }
  return out;
}

async function saveImages(name: string, images: Uint8Array): Promise<string> {
  const folder = join(dir, name);
  await mkdir(join(folder, "deeper"), { recursive: true });
  const bytes = SIZE * SIZE * 3;
  for (let i = 0; i < COUNT; i++) {
    const raw = { raw: { width: SIZE, height: SIZE, channels: 3 as const } };
    const file = join(folder, i < 3 ? "deeper" : "", `${String(i).padStart(2, "0")}.png`);
    await sharp(images.subarray(i * bytes, (i + 1) * bytes), raw)
      .png()
      .toFile(file);
  }
  return folder;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar evaluate "));
  weights = join(dir, "inception.safetensors");
  const random = createStream(1, "inception");
  const tensors = Object.entries(inceptionShapes()).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const scale = shape.length > 1 ? Math.sqrt((3 * shape[0]!) / size) * 1.5 : 0.1;
    const offset = /bn\.weight|running_var/.test(name) ? 1 : 0;
    const data = new Float32Array(size).map(() => offset + scale * (2 * random.uniform() - 1));
    return [name, { dtype: "float32" as const, shape, data }] as const;
  });
  await writeSafetensors(weights, Object.fromEntries(tensors));
  pixels = draw(1);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function evaluate(...args: string[]): Promise<string> {
  const { status, output } = await runCli(["evaluate", ...args]);
  expect(status, output).toBe(0);
  return output;
}

test("FID and the others: a folder against npz, statistics, and another set; JSON and a page with pictures", async () => {
  const folder = await saveImages("same", pixels);
  const npz = join(dir, "reference.npz");
  const order = [...Array(COUNT).keys()].map((i) => (i < COUNT - 3 ? i + 3 : i - (COUNT - 3))); // "deeper" sorts last
  const bytes = SIZE * SIZE * 3;
  const rows = order.map((i) => pixels.slice(i * bytes, (i + 1) * bytes));
  await writeNpz(npz, { arr_0: { dtype: "uint8", shape: [COUNT, SIZE, SIZE, 3], rows } });
  const [json, page, saved] = [join(dir, "out", "same.json"), join(dir, "out", "same.html"), join(dir, "saved.npz")];
  const output = await evaluate(
    ...["--samples", folder, "--reference", npz, "--inception", weights, "--output", json, "--report", page],
    ...["--save-statistics", saved, "--batch-size", "5"],
  );
  expect(output).toMatch(/^FID +\d/m);
  expect(output).toMatch(new RegExp(`note: ${COUNT} samples: FID is larger the fewer images.*covariance is singular`));
  const { inception: same } = JSON.parse(await readFile(json, "utf8"));
  // The same images in another order: rounding alone, relative to variances that add up to some hundred.
  expect(same.fid).toBeLessThan(1e-3);
  expect(same.sfid).toBeLessThan(1e-3);
  expect(same).toMatchObject({ images: { samples: COUNT, reference: COUNT }, precision: 1, recall: 1, coverage: 1 });
  expect(same.inceptionScore).toBeGreaterThanOrEqual(1);
  const html = await readFile(page, "utf8");
  for (const part of ["FID", "Coverage", "data:image/png;base64", "To bear in mind"]) expect(html).toContain(part);

  const other = await saveImages("other", draw(2));
  const [direct, stored] = [join(dir, "direct.json"), join(dir, "stored.json")];
  await evaluate("--samples", other, "--reference", folder, "--inception", weights, "--output", direct);
  await evaluate("--samples", other, "--reference", saved, "--inception", weights, "--output", stored);
  const [a, b] = [direct, stored].map(async (file) => JSON.parse(await readFile(file, "utf8")).inception);
  const [full, fromFile] = [await a, await b];
  expect(full.fid).toBeGreaterThan(100 * same.fid);
  expect(fromFile.fid).toBeCloseTo(full.fid, 6);
  expect(fromFile.sfid).toBeCloseTo(full.sfid, 6);
  // Statistics of ours keep features too, so that nothing is missing.
  for (const name of ["precision", "recall", "density", "coverage"])
    expect(fromFile[name], name).toBeCloseTo(full[name], 6);
  expect(fromFile.kid.mean / full.kid.mean).toBeCloseTo(1, 4);
  const file = await openNpz(saved);
  expect(file.names.slice(0, 5)).toEqual(["mu", "sigma", "mu_s", "sigma_s", "count"]);
  expect(file.info("features").shape).toEqual([COUNT, 2048]);
  await file.close();
});

test("statistics of shards merge to those of the whole", async () => {
  const bytes = SIZE * SIZE * 3;
  const shard = async (name: string, from: number, to: number) => {
    const stored = {
      dtype: "uint8" as const,
      shape: [to - from, SIZE, SIZE, 3],
      data: pixels.slice(from * bytes, to * bytes),
    };
    await writeNpz(join(dir, `${name} images.npz`), { arr_0: stored });
    const out = join(dir, `${name}.npz`);
    const images = ["--samples", join(dir, `${name} images.npz`), "--reference", join(dir, "saved.npz")];
    await evaluate(...images, "--inception", weights, "--save-statistics", out, "--first-image", String(from));
    return out;
  };
  const parts = [await shard("first", 0, 5), await shard("second", 5, COUNT)];
  const [json, merged] = [join(dir, "merged.json"), join(dir, "merged.npz")];
  const shards = ["--samples", parts.join(","), "--reference", join(dir, "saved.npz"), "--inception", weights];
  const output = await evaluate(...shards, "--save-statistics", merged, "--output", json);
  expect(output).toMatch(/^FID/m);
  const { inception } = JSON.parse(await readFile(json, "utf8"));
  expect(inception.images.samples).toBe(COUNT);
  expect(inception.fid).toBeLessThan(1e-3); // the saved ones are of the same images
  expect(inception).toMatchObject({ precision: 1, recall: 1, coverage: 1 });
  // The whole in one go. Batches of other sizes round differently in float32, relative to features of size 1.
  const [whole, once] = [join(dir, "whole images.npz"), join(dir, "once.json")];
  await writeNpz(whole, { arr_0: { dtype: "uint8", shape: [COUNT, SIZE, SIZE, 3], data: pixels } });
  const sets = ["--samples", whole, "--reference", join(dir, "saved.npz")];
  await evaluate(...sets, "--inception", weights, "--output", once);
  const direct = JSON.parse(await readFile(once, "utf8")).inception;
  expect(inception.inceptionScore / direct.inceptionScore).toBeCloseTo(1, 5);
  expect(inception.kid.mean).toBeCloseTo(direct.kid.mean, 4);
  const file = await openNpz(merged);
  expect((await file.read("count")).data[0]).toBe(BigInt(COUNT));
  await file.close();
});

test("grey, alpha and 16 bits become RGB bytes; other sizes come apart", async () => {
  const folder = join(dir, "kinds");
  await mkdir(folder);
  const half = { create: { width: 4, height: 4, channels: 4 as const, background: { r: 0, g: 0, b: 0, alpha: 0.5 } } };
  await sharp(half).png().toFile(join(folder, "a alpha.png"));
  await sharp({ create: { ...half.create, channels: 3, background: "#808080" } })
    .toColourspace("b-w")
    .png()
    .toFile(join(folder, "b grey.png"));
  await sharp({ create: { ...half.create, channels: 3, background: "#ff8000" } })
    .toColourspace("rgb16")
    .png()
    .toFile(join(folder, "c deep.png"));
  await sharp({ create: { ...half.create, width: 6, channels: 3, background: "#ffffff" } })
    .png()
    .toFile(join(folder, "d wide.png"));
  const batches: ImageBatch[] = [];
  for await (const batch of (await openImages(folder)).batches(10)) batches.push(batch);
  expect(batches.map(({ count, height, width }) => [count, height, width])).toEqual([[3, 4, 4], [1, 4, 6]]); // biome-ignore format: one row
  const first = (image: number) => [...batches[0]!.pixels.subarray(image * 48, image * 48 + 3)];
  expect(first(0).every((value) => Math.abs(value - 128) <= 1)).toBe(true); // half black on white
  expect(first(1)).toEqual([128, 128, 128]);
  expect(first(2)).toEqual([255, 128, 0]);
});

test("what can't be scored is refused by name", async () => {
  const refused = async (...args: string[]) => {
    const { status, output } = await runCli(["evaluate", ...args]);
    expect(status).toBe(1);
    expect(output).not.toMatch(/\n\s+at /);
    return output;
  };
  const folder = join(dir, "same");
  expect(await refused("--samples", folder, "--reference", folder)).toContain(
    "give --inception (for FID), --tokenizer, --classifier, or several",
  );
  const missing = ["--samples", folder, "--reference", folder, "--inception", join(dir, "none.pth")];
  expect(await refused(...missing)).toMatch(/none\.pth: there is no such file.*https:\/\//s);
  await mkdir(join(dir, "empty"));
  await expect(openImages(join(dir, "empty"))).rejects.toThrow(/empty holds no image/);
  await writeNpz(join(dir, "floats.npz"), { arr_0: { dtype: "float32", shape: [1, 2], data: Float32Array.of(1, 2) } });
  await expect(openImages(join(dir, "floats.npz"))).rejects.toThrow(/float32 \[1,2\]; images are arr_0, uint8/);
  await mkdir(join(dir, "broken"));
  await writeFile(join(dir, "broken", "x.png"), "no image");
  const read = async () => {
    for await (const _ of (await openImages(join(dir, "broken"))).batches(1));
  };
  await expect(read()).rejects.toThrow(/x\.png: not a readable image/);
});

test("a tokenizer's losses: PSNR, SSIM, LPIPS and rFID, with reconstructions that other suites read", async () => {
  const tokenizer = join(dir, "tokenizer");
  await mkdir(tokenizer);
  const vq: VqConfig = TINY_VQ;
  const random = createStream(2, "vq and lpips");
  const tensors = (shapes: Readonly<Record<string, readonly number[]>>) =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => {
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
        return [name, { dtype: "float32" as const, shape, data: data.map(() => 0.1 * Math.abs(random.normal())) }];
      }),
    );
  await saveTokenizer(
    tokenizer,
    { kind: "vq", imageSize: SIZE, config: vq, tensors: tensors(vqShapes(vq)) },
    "float32",
  );
  const perceptual = join(dir, "lpips.safetensors");
  await writeSafetensors(perceptual, tensors(lpipsShapes()));
  const out = join(dir, "lost");
  const { status, output } = await runCli([
    ...["reconstruct", "--images", join(dir, "same"), "--tokenizer", tokenizer, "--output", out, "--num-images", "5"],
    ...["--inception", weights, "--lpips", perceptual, "--batch-size", "3"],
  ]);
  expect(status, output).toBe(0);
  const metrics = JSON.parse(await readFile(join(out, "metrics.json"), "utf8"));
  expect(metrics.images).toBe(5);
  for (const name of ["psnr", "lpips", "rfid"]) expect(metrics[name], name).toBeGreaterThan(0);
  expect(metrics.ssim).toBeLessThan(1);
  // The reconstructions as a set of their own are as far from the originals as rFID says.
  const npz = join(dir, "originals.npz");
  const order = [3, 4, 5, 6, 7]; // "deeper" sorts last
  const rows = order.map((i) => pixels.slice(i * SIZE * SIZE * 3, (i + 1) * SIZE * SIZE * 3));
  await writeNpz(npz, { arr_0: { dtype: "uint8", shape: [5, SIZE, SIZE, 3], rows } });
  const json = join(dir, "rfid.json");
  await evaluate(
    "--samples",
    join(out, "reconstructions.npz"),
    "--reference",
    npz,
    "--inception",
    weights,
    "--output",
    json,
  );
  const { inception } = JSON.parse(await readFile(json, "utf8"));
  expect(inception.fid / metrics.rfid).toBeCloseTo(1, 4);

  // Two parts, measured apart, are the whole. Codes are counted exactly; batches of other sizes round differently in float32.
  const networks = ["--tokenizer", tokenizer, "--inception", weights, "--lpips", perceptual];
  const parts: string[] = [];
  for (const [begin, end] of [
    [0, 2],
    [2, 5],
  ] as const) {
    const images = join(dir, `rows ${begin}.npz`);
    const held = { dtype: "uint8" as const, shape: [end - begin, SIZE, SIZE, 3], rows: rows.slice(begin, end) };
    await writeNpz(images, { arr_0: held });
    parts.push(join(dir, `lost ${begin}`));
    const { status, output } = await runCli([
      "reconstruct",
      "--images",
      images,
      ...networks,
      "--output",
      parts.at(-1)!,
    ]);
    expect(status, output).toBe(0);
  }
  const together = join(dir, "lost together");
  const merge = (...args: string[]) => runCli(["reconstruct", "--output", together, ...args]);
  expect((await merge("--merge", parts.join(","))).status).toBe(0);
  const { settings: _, ...merged } = JSON.parse(await readFile(join(together, "metrics.json"), "utf8"));
  expect(merged.images).toBe(5);
  expect(merged.codebook).toEqual(metrics.codebook);
  for (const name of ["psnr", "ssim", "lpips", "rfid"]) expect(merged[name] / metrics[name], name).toBeCloseTo(1, 4);
  expect((await merge()).output).toMatch(/give --images and --tokenizer .*, or --merge/);
  expect((await merge("--overwrite", "--merge", join(dir, "none"))).output).toMatch(
    /none\/statistics\.npz: there is no such file/,
  );
});

test("sums of reconstructions: parts must be alike", async () => {
  const mean = (count: number, sum: number) => ({ count, sum });
  const sums = (means: object, codes: number[]) => ({
    means: means as ReconstructionSums["means"],
    codes: Float64Array.from(codes),
    moments: undefined,
  });
  const file = async (name: string, ...args: Parameters<typeof sums>) => {
    await writeSums(join(dir, name), sums(...args));
    return join(dir, name);
  };
  const [a, b] = [
    await file("a.npz", { psnr: mean(2, 60), ssim: mean(2, 1.5) }, [3, 0, 1]),
    await file("b.npz", { psnr: mean(3, 75), ssim: mean(3, 1.5) }, [1, 0, 3]),
  ];
  expect(metricsOf(await mergeSums([a, b]))).toEqual({
    images: 5,
    psnr: 27,
    ssim: 0.6,
    codebook: { size: 3, used: 2, perplexity: expect.closeTo(2, 12) },
  });
  await expect(mergeSums([a, a])).rejects.toThrow(/a\.npz is named twice/);
  const fewer = await file("c.npz", { psnr: mean(1, 30) }, [1, 1, 1]);
  await expect(mergeSums([a, fewer])).rejects.toThrow(/c\.npz has psnr, .*a\.npz psnr, ssim; measure all parts alike/);
  const other = await file("d.npz", { psnr: mean(1, 30), ssim: mean(1, 1) }, [1, 1]);
  await expect(mergeSums([a, other])).rejects.toThrow(/d\.npz is of 2 codes, .*a\.npz of 3/);
});
