import { join } from "node:path";
import type { TensorData } from "@tensorar/checkpoint";
import { writeNpz } from "@tensorar/checkpoint/node";
import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder, writeFileAtomic } from "@tensorar/core/node";
import {
  describeCounts,
  type ImageBatch,
  type ImageStream,
  imageGrid,
  type LeftOut,
  openImages,
  savePng,
  toFloatImages,
} from "@tensorar/data";
import {
  type InceptionRunner,
  mergeSums,
  metricsOf,
  openInception,
  type ReconstructionSums,
  writeSums,
} from "@tensorar/evaluation";
import { createCodebookCounts, createMean, createMoments, psnr, ssim } from "@tensorar/metrics";
import { lpips } from "@tensorar/metrics/features";
import { loadLpips } from "@tensorar/metrics/node";
import { toParams } from "@tensorar/model";
import { TOKENIZER_KINDS, type TokenizerKind } from "@tensorar/tokenizer";
import { loadTokenizer, type TokenizerFolder } from "@tensorar/tokenizer/node";
import type { Engine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import type { Settings } from "../declarations/reconstruct";
import { imageOptions } from "../image-options";
import { openEngine } from "../open-engine";
import { openTokenizer, type TokenizerRunner } from "../tokenizer-runner";

const BYTES = 255;
const SHOWN = 32;
/** Width of Inception's pooled features. */
const POOLED = 2048;
/** The window of SSIM. */
const LEAST_SSIM_SIZE = 11;

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { images, tokenizer, merge, output: out } = settings;
    if ((merge === undefined) === (images === undefined) || (images === undefined) !== (tokenizer === undefined))
      throw new TensorARError("give --images and --tokenizer to reconstruct some, or --merge to put results together");
    const output = await openOutputFolder(out, { ...settings, entries: FILES });
    const { metrics, leftOut } = await output.write(async (folder) => {
      const { sums, leftOut } = merge
        ? { sums: await mergeSums(merge.map((dir) => join(dir, STATISTICS))), leftOut: [] }
        : await reconstruct({ ...settings, images: images!, tokenizer: tokenizer! }, folder, signal);
      const metrics = metricsOf(sums);
      await writeSums(join(folder, STATISTICS), sums);
      const results = { settings, ...metrics, leftOut };
      await writeFileAtomic(join(folder, "metrics.json"), `${JSON.stringify(results, null, 2)}\n`);
      return { metrics, leftOut };
    });
    // Apart from the metrics, which other programs read.
    if (images !== undefined) console.error(`${images}: ${describeCounts({ taken: metrics.images, leftOut })}`);
    console.log(JSON.stringify(metrics, null, 2));
  },
};

/** What merging reads. */
const STATISTICS = "statistics.npz";
const FILES = [STATISTICS, "metrics.json", "reconstructions.npz", "grid.png"];

/** Writes reconstructions of all images and a picture of some. */
async function reconstruct(
  settings: Settings & { readonly images: string; readonly tokenizer: string },
  out: string,
  signal: AbortSignal,
): Promise<{ sums: ReconstructionSums; leftOut: readonly LeftOut[] }> {
  const folder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
  const source = await openImages(settings.images, imageOptions(settings));
  const most = settings.numImages ?? Number.POSITIVE_INFINITY;
  const total = Math.min(source.count ?? (await countImages(source, most, signal)), most);
  const engine = await openEngine(settings);
  const { imageSize: size } = folder;
  const networks = await openNetworks(folder, settings, engine);
  const sums = newSums(networks, size);
  const progress = startProgress("reconstruct", total, "images");
  const shown: Uint8Array[] = [];
  let done = 0;
  const rows = async function* () {
    for await (const batch of source.batches(settings.batchSize)) {
      signal.throwIfAborted();
      const held = first(batch, total - done);
      expectSize(held, size, settings.images);
      const decoded = await measure(held, networks, sums);
      if (shown.length === 0) shown.push(held.pixels, decoded);
      done += held.count;
      progress.update(done);
      yield decoded;
      if (done >= total) break;
    }
  };
  const stored = { dtype: "uint8" as const, shape: [total, size, size, 3], rows: rows() };
  await writeNpz(join(out, "reconstructions.npz"), { arr_0: stored });
  progress.stop();
  await Promise.all(Object.values(networks).map((network) => network.dispose()));
  const [originals, decoded] = shown as [Uint8Array, Uint8Array];
  await savePng(join(out, "grid.png"), await pairsGrid(originals, decoded, size));
  return { sums: resultOf(sums), leftOut: source.counts().leftOut };
}

/** The file of reconstructions begins with how many there are; where that isn't known, all images are decoded once before. */
async function countImages(source: ImageStream, most: number, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const batch of source.batches(1)) {
    signal.throwIfAborted();
    count += batch.count;
    if (count >= most) break;
  }
  return count;
}

interface Networks {
  readonly tokenizer: TokenizerRunner;
  readonly lpips?: Awaited<ReturnType<typeof openLpips>>;
  readonly inception?: InceptionRunner;
}

async function openNetworks(
  folder: TokenizerFolder<TokenizerKind>,
  settings: Settings,
  engine: Engine,
): Promise<Networks> {
  return {
    tokenizer: await openTokenizer(folder, engine),
    ...(settings.lpips !== undefined && { lpips: await openLpips(settings, folder.imageSize, engine) }),
    ...(settings.inception !== undefined && { inception: await openInception(settings.inception, engine) }),
  };
}

/** Means, codes and moments of what passes through. */
const newSums = ({ tokenizer, lpips, inception }: Networks, size: number) => ({
  psnr: createMean(),
  ssim: size >= LEAST_SSIM_SIZE ? createMean() : undefined,
  lpips: lpips && createMean(),
  codes: createCodebookCounts(tokenizer.codebookSize),
  moments: inception && {
    originals: createMoments(POOLED),
    reconstructions: createMoments(POOLED),
  },
});

type Sums = ReturnType<typeof newSums>;

const resultOf = ({ psnr, ssim, lpips, codes, moments }: Sums): ReconstructionSums => ({
  means: { psnr: psnr.sums(), ...(ssim && { ssim: ssim.sums() }), ...(lpips && { lpips: lpips.sums() }) },
  codes: codes.counts(),
  moments: moments && {
    originals: moments.originals.result(),
    reconstructions: moments.reconstructions.result(),
  },
});

/** Adds what one batch loses; returns its reconstructions. */
async function measure(batch: ImageBatch, { tokenizer, lpips, inception }: Networks, sums: Sums): Promise<Uint8Array> {
  const { count, height: size, pixels } = batch;
  const codes = await tokenizer.encode(pixels);
  const decoded = await tokenizer.decode(codes);
  const bytes = size * size * 3;
  for (let at = 0; at < pixels.length; at += bytes)
    sums.psnr.add([psnr(pixels.subarray(at, at + bytes), decoded.subarray(at, at + bytes))]);
  sums.ssim?.add(ssim(pixels, decoded, { count, height: size, width: size, channels: 3, range: BYTES }));
  if (lpips) sums.lpips!.add(await lpips.run(pixels, decoded, count));
  if (inception) {
    const [real, made] = [await inception.run(batch), await inception.run({ ...batch, pixels: decoded })];
    sums.moments!.originals.add(real.pooled);
    sums.moments!.reconstructions.add(made.pooled);
  }
  sums.codes.add(codes);
  return decoded;
}

function expectSize({ height, width }: ImageBatch, size: number, images: string): void {
  if (height === size && width === size) return;
  throw new TensorARError(
    `${images} holds images of ${height} x ${width} px, the tokenizer takes ${size} px; prepare them with \`tensorar data --size ${size}\``,
  );
}

/** The first images of a batch. */
const first = (batch: ImageBatch, most: number): ImageBatch => {
  const count = Math.min(batch.count, most);
  return { ...batch, count, pixels: batch.pixels.subarray(0, count * batch.height * batch.width * 3) };
};

async function openLpips({ lpips: path, vgg }: Settings, size: number, engine: Engine) {
  const params = toParams(await loadLpips(path!, vgg));
  const images = { dtype: "float32", shape: ["batch", size, size, 3] } as const;
  const graph = await engine.prepare(
    ({ a, b }: { a: tf.Tensor4D; b: tf.Tensor4D }) => ({ distances: lpips(params, a, b) }),
    { a: images, b: images },
  );
  return {
    async run(a: Uint8Array, b: Uint8Array, count: number): Promise<Float32Array> {
      const feed = (pixels: Uint8Array): TensorData => ({
        dtype: "float32",
        shape: [count, size, size, 3],
        data: toFloatImages(pixels),
      });
      return (await graph({ a: feed(a), b: feed(b) })).distances.data as Float32Array;
    },
    async dispose() {
      await graph.dispose();
      tf.dispose(params);
    },
  };
}

/** Originals and their reconstructions side by side. */
function pairsGrid(originals: Uint8Array, decoded: Uint8Array, size: number): Promise<Buffer> {
  const bytes = size * size * 3;
  const count = Math.min(SHOWN, originals.length / bytes);
  const pairs = new Uint8Array(2 * count * bytes);
  for (let i = 0; i < count; i++) {
    pairs.set(originals.subarray(i * bytes, (i + 1) * bytes), 2 * i * bytes);
    pairs.set(decoded.subarray(i * bytes, (i + 1) * bytes), (2 * i + 1) * bytes);
  }
  return imageGrid(pairs, { count: 2 * count, height: size, width: size, columns: 8, scale: size < 64 ? 2 : 1 });
}
