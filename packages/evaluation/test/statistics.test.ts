import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { float32ToFloat16 } from "@tensorar/checkpoint";
import { openNpz, writeNpz } from "@tensorar/checkpoint/node";
import type { ImageStream } from "@tensorar/data";
import { frechetDistance, inceptionScoreOf, kernelDistance } from "@tensorar/metrics";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { InceptionRunner } from "../src/statistics/inception-runner";
import { gatherStatistics, type InceptionStatistics } from "../src/statistics/inception-statistics";
import { mergeStatistics, readStatistics, writeStatistics } from "../src/statistics/statistics-file";

// Images of one pixel, and a network whose outputs follow from it: what is tested is how parts are put together, so that
// outputs are the same to the bit whatever the batch.

const COUNT = 10_300; // two chunks of the Inception Score, and a part of a third
const KEPT = 500;
const CLASSES = 1008;
let dir: string;
let whole: InceptionStatistics;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar statistics "));
  vi.spyOn(console, "error").mockImplementation(() => {});
  whole = await statistics(0, COUNT);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const bytesOf = (image: number): [number, number, number] => [image % 251, (image * image) % 241, (image >> 4) % 239];

const stream = (begin: number, end: number): ImageStream => ({
  count: end - begin,
  counts: () => ({ taken: end - begin, leftOut: [] }),
  async *batches(size) {
    for (let at = begin; at < end; at += size) {
      const count = Math.min(size, end - at);
      const pixels = Uint8Array.from(Array.from({ length: count }, (_, i) => bytesOf(at + i)).flat());
      yield { count, height: 1, width: 1, pixels };
    }
  },
});

const network: InceptionRunner = {
  async run({ count, pixels }) {
    const rows = (width: number, of: (r: number, g: number, b: number, i: number) => number) =>
      Float32Array.from({ length: count * width }, (_, at) => {
        const row = Math.floor(at / width) * 3;
        return of(pixels[row]! / 255, pixels[row + 1]! / 255, pixels[row + 2]! / 255, at % width);
      });
    return {
      pooled: rows(4, (r, g, b, i) => [r, g, b, r * g][i]!),
      spatial: rows(3, (r, g, b, i) => [r + g, g * b, b][i]!),
      logits: rows(CLASSES, (r, g, b, i) => (i === Math.floor(r * 900) ? 9 * g : b * (i % 3))),
    };
  },
  dispose: async () => {},
};

const statistics = (begin: number, end: number, first = begin, kept = KEPT) =>
  gatherStatistics("samples", stream(begin, end), network, {
    batchSize: 64,
    kept,
    first,
    signal: new AbortController().signal,
  });

/** Statistics of parts, through files. */
async function parts(cuts: readonly number[], firstOf: (begin: number) => number, kept = KEPT): Promise<string[]> {
  const files: string[] = [];
  for (const [i, end] of cuts.slice(1).entries()) {
    files.push(join(dir, `part ${cuts.join("-")} ${i} ${firstOf(7)} ${kept}.npz`));
    await writeStatistics(files[i]!, await statistics(cuts[i]!, end, firstOf(cuts[i]!), kept));
  }
  return files;
}

const KID = { subsets: 5, subsetSize: 100, seed: 1 };

describe("parts that know where they lie merge to the whole", () => {
  test("wherever they are cut", async () => {
    const merged = await mergeStatistics(await parts([0, 130, 4000, 5200, COUNT], (begin) => begin), KEPT);
    expect(merged.count).toBe(COUNT);
    // Sums of 10^4 float64 numbers in another order: 1e-12 of their size, and FID is their distance, near 0.
    expect(inceptionScoreOf(merged.score!)).toBeCloseTo(inceptionScoreOf(whole.score!), 10);
    expect(frechetDistance(merged.pooled, whole.pooled)).toBeLessThan(1e-9);
    expect(frechetDistance(merged.spatial!, whole.spatial!)).toBeLessThan(1e-9);
    expect(merged.features).toEqual(whole.features); // 500 of the first images, of two parts
    expect(kernelDistance(whole.features!, merged.features!, KID)).toEqual(kernelDistance(whole.features!, whole.features!, KID)); // biome-ignore format: one row
    expect(merged.notes).toEqual([]);
  });

  test("and again from merged files", async () => {
    const files = await parts([0, 2000, 5200, COUNT], (begin) => begin);
    const half = join(dir, "half.npz");
    await writeStatistics(half, await mergeStatistics(files.slice(0, 2), KEPT));
    const merged = await mergeStatistics([half, files[2]!], KEPT);
    expect(inceptionScoreOf(merged.score!)).toBeCloseTo(inceptionScoreOf(whole.score!), 10);
    expect(merged.features).toEqual(whole.features);
  });
});

test("cut at whole chunks, the Inception Score is the same to the bit, wherever parts think they lie", async () => {
  const merged = await mergeStatistics(await parts([0, 5000, COUNT], () => 0), KEPT);
  expect(inceptionScoreOf(merged.score!)).toBe(inceptionScoreOf(whole.score!));
});

test("cut elsewhere without a place, only the Inception Score is missing, and a note says what to do", async () => {
  const merged = await mergeStatistics(await parts([0, 4000, COUNT], () => 0), KEPT);
  expect(merged.score).toBeUndefined();
  expect(merged.features).toEqual(whole.features);
  expect(merged.notes).toEqual([
    expect.stringMatching(/no Inception Score: .*part 1 begins at image 0 of a chunk of 5000.*with --first-image/),
  ]);
});

test("features end where a part kept too few", async () => {
  const files = await parts([0, 200, 400, COUNT], (begin) => begin, 150);
  const merged = await mergeStatistics(files, KEPT);
  expect(merged.features!.count).toBe(150);
  expect(merged.features!.data).toEqual(whole.features!.data.slice(0, 150 * 4));
  expect(merged.notes).toEqual([expect.stringMatching(/keeps features of 150 of its 200 images: .* first 150 images/)]);
  expect((await mergeStatistics(files, 100)).notes).toEqual([]);
});

describe("files", () => {
  test("of other projects are read as before, with or without sFID's part", async () => {
    const dims = 3;
    const mu = { dtype: "float64" as const, shape: [dims], data: Float64Array.of(1, 2, 3) };
    const sigma = { dtype: "float64" as const, shape: [dims, dims], data: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) };
    const [pytorch, adm] = [join(dir, "pytorch-fid.npz"), join(dir, "adm.npz")];
    await writeNpz(pytorch, { mu, sigma });
    await writeNpz(adm, { mu, sigma, mu_s: mu, sigma_s: sigma });
    const none = { count: undefined, score: undefined, features: undefined, notes: [] };
    const pooled = { mean: mu.data, covariance: sigma.data };
    expect(await readStatistics(pytorch)).toEqual({ ...none, pooled, spatial: undefined });
    expect(await readStatistics(adm)).toEqual({ ...none, pooled, spatial: pooled });
    expect(await mergeStatistics([pytorch], KEPT)).toEqual({ ...none, pooled, spatial: undefined });
    await expect(mergeStatistics([pytorch, adm], KEPT)).rejects.toThrow(/pytorch-fid\.npz: does not say of how many/);
    await expect(mergeStatistics([adm, adm], KEPT)).rejects.toThrow(/adm\.npz is named twice/);
  });

  test("written before merging was possible give all but what they lack", async () => {
    const [old] = await parts([0, 300], (begin) => begin);
    const { score: _, features: __, ...rest } = (await readStatistics(old!))!;
    const bare = join(dir, "bare.npz");
    await writeStatistics(bare, { ...rest, score: undefined, features: undefined });
    const [other] = await parts([300, 900], (begin) => begin);
    const merged = await mergeStatistics([bare, other!], KEPT);
    expect(merged).toMatchObject({ count: 900, score: undefined, features: undefined });
    expect(merged.notes).toEqual([
      expect.stringMatching(/no Inception Score: .*bare\.npz was written without its sums/),
      expect.stringMatching(/bare\.npz keeps features of 0 of its 300 images/),
    ]);
  });

  test("that numpy's users can read: arrays by name", async () => {
    const [file] = await parts([0, 600], (begin) => begin);
    const npz = await openNpz(file!);
    expect(npz.names).toEqual([
      ...["mu", "sigma", "mu_s", "sigma_s", "count", "score_place", "score_counts", "score_marginals", "score_logs"],
      "features",
    ]);
    expect(npz.info("score_marginals")).toMatchObject({ dtype: "float64", shape: [1, CLASSES] });
    await npz.close();
  });

  test("that do not fit are refused by name", async () => {
    const [file] = await parts([0, 600], (begin) => begin);
    const known = (await readStatistics(file!))!;
    const broken = join(dir, "broken.npz");
    await writeStatistics(broken, { ...known, score: { ...known.score!, logs: Float64Array.of(1, 2) } });
    await expect(readStatistics(broken)).rejects.toThrow(
      /broken\.npz: score_counts \[1\].* do not fit; compute it again/,
    );
  });
});

test("statistics are numbers, whatever type they are stored in; a bad number is named", async () => {
  const path = join(dir, "types.npz");
  const mu = { dtype: "int64" as const, shape: [2], data: BigInt64Array.of(3n, -4n) };
  const sigma = {
    dtype: "float16" as const,
    shape: [2, 2],
    data: float32ToFloat16(Float32Array.of(2, 0.5, 0.5, 0.25)),
  };
  await writeNpz(path, { mu, sigma });
  const { pooled } = (await readStatistics(path))!;
  expect(pooled.mean).toEqual(Float64Array.of(3, -4));
  expect(pooled.covariance).toEqual(Float64Array.of(2, 0.5, 0.5, 0.25)); // exact in float16
  const damaged = { ...sigma, data: float32ToFloat16(Float32Array.of(2, Number.NaN, 0, 1)) };
  await writeNpz(path, { mu, sigma: damaged });
  await expect(readStatistics(path)).rejects.toThrow(/types\.npz: element 1 of sigma is NaN/);
});
