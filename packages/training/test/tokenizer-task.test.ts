import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderSource, imageGrid, openDataset, prepareDataset, savePng, toFloatImages } from "@tensorar/data";
import { toParams } from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import { createTokenizer, TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readLog, type TokenizerTrainingOptions, tokenizerTask, train } from "../src/index";

let dir: string;
const SIZE = 8;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-tokenizer-task-"));
  await mkdir(join(dir, "images", "one"), { recursive: true });
  const random = createStream(3, "pixels");
  for (let i = 0; i < 12; i++) {
    const pixels = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => random.below(256));
    const grid = await imageGrid(pixels, { count: 1, height: SIZE, width: SIZE });
    await savePng(join(dir, "images", "one", `${i}.png`), grid);
  }
  await prepareDataset(await folderSource(join(dir, "images")), { out: join(dir, "data"), size: SIZE });
});
afterAll(() => rm(dir, { recursive: true }));

const widths = { ch: 32, encoder_ch_mult: [1, 1], decoder_ch_mult: [1, 1], num_res_blocks: 1, z_channels: 8 };
const codebook = { codebook_size: 16, codebook_embed_dim: 4, codebook_l2_norm: true, codebook_show_usage: true };
const CONFIG = { ...widths, ...codebook, commit_loss_beta: 0.25, entropy_loss_ratio: 0 };
const ADVERSARY = {
  discriminator: { ndf: 8, n_layers: 1 },
  weight: 0.5,
  start: 2,
  adaptive: true,
  generatorLoss: "hinge",
  discriminatorLoss: "hinge",
} as const;
const RUN = { warmupSteps: 0, logEvery: 1, checkpointEvery: 100, threads: 1, learningRate: 1e-3 };

const task = async (options: TokenizerTrainingOptions) =>
  tokenizerTask(await openDataset(join(dir, "data")), { kind: "vq", config: CONFIG }, { batchSize: 4, ...options });

test("against a discriminator: first without its losses, then with them; a stopped run continues to the bit", async () => {
  const whole = await train(await task({ adversary: ADVERSARY }), { ...RUN, out: join(dir, "whole"), steps: 4 });
  const log = await readLog(join(dir, "whole"));
  for (const { step, adversarial, discriminator, adaptive } of log) {
    expect(adaptive).toBeGreaterThan(0);
    if (step <= ADVERSARY.start) expect([adversarial, discriminator]).toEqual([expect.closeTo(0, 12), 0]);
    else expect(Math.abs(adversarial!) * discriminator!).toBeGreaterThan(0);
  }

  const out = join(dir, "stopped");
  const stop = new AbortController();
  const progress = () => ({ update: (done: number) => done === 3 && stop.abort(new Error("enough")), stop: () => {} });
  const options = { ...RUN, out, steps: 4 };
  const stopped = { ...options, signal: stop.signal, progress };
  await expect(train(await task({ adversary: ADVERSARY }), stopped)).rejects.toThrow("enough");
  expect(await train(await task({ adversary: ADVERSARY }), { ...options, resume: true })).toEqual(whole);
});

test.each(["vanilla", "non-saturating"] as const)("with the discriminator loss %s", async (discriminatorLoss) => {
  const adversary = {
    ...ADVERSARY,
    start: 0,
    adaptive: false,
    generatorLoss: "non-saturating",
    discriminatorLoss,
  } as const;
  await train(await task({ adversary }), { ...RUN, out: join(dir, discriminatorLoss), steps: 1 });
  const [entry] = await readLog(join(dir, discriminatorLoss));
  expect(entry!.discriminator).toBeGreaterThan(0);
});

test("a perceptual loss adds its weighted mean, with its parameters as constants", async () => {
  const scale = { dtype: "float32", shape: [1], data: Float32Array.of(2) } as const;
  const perceptual = {
    tensors: { scale },
    distance: (params: Readonly<Record<string, tf.Tensor>>, a: tf.Tensor4D, b: tf.Tensor4D) =>
      tf.mul(tf.mean(tf.square(tf.sub(a, b)), [1, 2, 3]), params.scale!),
    weight: 3,
  };
  for (const adversary of [undefined, ADVERSARY]) {
    const out = join(dir, `perceptual ${adversary !== undefined}`);
    await train(await task({ perceptual, adversary }), { ...RUN, out, steps: 1 });
    const [entry] = await readLog(out);
    expect(entry!.perceptual).toBeCloseTo(6 * entry!.reconstruction!, 5);
  }
});

test("measures of a step are means over its batches, of both networks", async () => {
  const adversary = { ...ADVERSARY, start: 0 };
  const still = { ...RUN, learningRate: 1e-30, steps: 2 }; // weights stay: adding so little changes no float32
  const one = join(dir, "one by one");
  await train(await task({ adversary }), { ...still, out: one });
  const out = join(dir, "accumulated");
  await train(await task({ adversary }), { ...still, out, steps: 1, gradientAccumulation: 2 });
  const [first, second] = await readLog(one);
  const [both] = await readLog(out);
  for (const name of ["loss", "reconstruction", "adversarial", "adaptive", "discriminator", "logits_fake"])
    expect(both![name]!, name).toBeCloseTo((first![name]! + second![name]!) / 2, 5);
  expect(both!.gradNorm).toBeLessThan((first!.gradNorm! + second!.gradNorm!) / 2); // the norm of a mean
});

const LOOKUP_FREE = {
  double_z: false,
  z_channels: 5,
  resolution: SIZE,
  in_channels: 3,
  out_ch: 3,
  ch: 32,
  ch_mult: [1, 1],
  num_res_blocks: 1,
} as const;

test("without a codebook: Open-MAGVIT2's losses; the result makes codes", async () => {
  const dataset = await openDataset(join(dir, "data"));
  const spec = { kind: "magvit2", config: LOOKUP_FREE } as const;
  const out = join(dir, "magvit2");
  await train(tokenizerTask(dataset, spec, { batchSize: 12, emaDecay: 0 }), { ...RUN, out, steps: 6 });
  const log = await readLog(out);
  for (const { loss, reconstruction, entropy_loss, commit_loss, ...rest } of log) {
    expect(loss).toBeCloseTo(reconstruction! + entropy_loss! + commit_loss!, 5);
    expect(entropy_loss).toBeCloseTo(0.1 * (rest.per_sample_entropy! - rest.codebook_entropy!), 5);
    expect(rest.codebook_entropy).toBeLessThan(Math.log(32) + 1e-3); // of 32 codes; 1e-5 is added to each of their shares
  }
  expect(log.at(-1)!.loss).toBeLessThan(log[0]!.loss);

  const folder = await loadTokenizer(out, TOKENIZER_KINDS);
  const { gridOf, encode, decode } = createTokenizer(folder);
  const params = toParams(folder.tensors);
  const pixels = await dataset.readImages([0, 1]);
  const images = tf.tensor4d(toFloatImages(pixels), [2, SIZE, SIZE, 3]);
  const { codes } = encode(params, images);
  expect(codes.shape).toEqual([2, 16]);
  expect(Math.max(...codes.dataSync())).toBeLessThan(32);
  expect(decode(params, codes, gridOf(SIZE)).shape).toEqual([2, SIZE, SIZE, 3]);
});

test("without a codebook, against a discriminator", async () => {
  const dataset = await openDataset(join(dir, "data"));
  const spec = { kind: "magvit2", config: LOOKUP_FREE } as const;
  const out = join(dir, "magvit2-gan");
  const adversary = { ...ADVERSARY, start: 0 };
  await train(tokenizerTask(dataset, spec, { batchSize: 4, adversary }), { ...RUN, out, steps: 1 });
  const [entry] = await readLog(out);
  const { reconstruction, entropy_loss, commit_loss, adversarial } = entry!;
  expect(entry!.loss).toBeCloseTo(reconstruction! + entropy_loss! + commit_loss! + adversarial!, 5);
  expect(Math.abs(adversarial!) * entry!.adaptive! * entry!.discriminator!).toBeGreaterThan(0);
});
