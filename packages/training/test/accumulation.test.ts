import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorData, TensorSpec } from "@tensorar/core";
import { loadCodes } from "@tensorar/data";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyCodes } from "../../data/test/tiny-codes";
import {
  type GradientInputs,
  initialTrainingState,
  optimized,
  pretrainTask,
  readLog,
  type TrainingTask,
  train,
} from "../src/index";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-accumulation-"));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true }));

const SIZES = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 };
const RUN = { warmupSteps: 2, logEvery: 1, checkpointEvery: 100, threads: 1 };

type Target = { target: TensorSpec };

/** ½ · (x - target)², whose gradient is x - target: the targets are the batches' numbers. */
const numbered: TrainingTask<Target> = {
  title: "numbered",
  recipe: {},
  batchSpec: { target: { dtype: "float32", shape: [] } },
  initialState: () => initialTrainingState({ x: { dtype: "float32", shape: [1], data: Float32Array.of(0) } }),
  ...optimized({ weightDecay: 0, emaDecay: 0, clip: 1e9 }, ({ x }, { batch }: GradientInputs<Target>) => ({
    loss: tf.mul(tf.sum(tf.square(tf.sub(x!, batch.target))), 0.5),
  })),
  batch: async (index) => ({ target: { dtype: "float32", shape: [], data: Float32Array.of(index) } }),
  save: async () => {},
};

test.each(["onnx", "cpu"] as const)("the gradient of a step is the mean over its batches, on %s", async (engine) => {
  const out = join(dir, `numbered ${engine}`);
  await train(numbered, { ...RUN, out, steps: 2, learningRate: 1e-6, gradientAccumulation: 4, engine });
  const log = await readLog(out);
  // At x = 0, but for two steps of 1e-6: batches 0 to 3, then 4 to 7. Losses are means too: of ½ · index².
  expect(log[0]).toMatchObject({ step: 1, gradNorm: 1.5, loss: (0 + 1 + 4 + 9) / 8 });
  expect(log[1]!.gradNorm).toBeCloseTo(5.5, 5);
  expect(log[1]!.loss).toBeCloseTo((16 + 25 + 36 + 49) / 8, 4);
});

const largest = (a: Record<string, TensorData>, b: Record<string, TensorData>): number =>
  Math.max(
    ...Object.entries(a).flatMap(([name, { data }]) =>
      Array.from(data as Float32Array, (value, i) => Math.abs(value - Number(b[name]!.data[i]))),
    ),
  );

const task = async (batchSize: number, options = {}) =>
  pretrainTask(await loadCodes(join(dir, "codes")), SIZES, { batchSize, classDropout: 0, clip: 0.1, ...options });

test("batches of a step are as one batch of all of their images", async () => {
  const run = { ...RUN, steps: 3, learningRate: 1e-3 };
  const whole = await train(await task(8), { ...run, out: join(dir, "whole") });
  const parts = await train(await task(2), { ...run, out: join(dir, "parts"), gradientAccumulation: 4 });
  // Weights move by 1e-3 a step. Sums in another order differ by 1e-7 of a gradient, which Adam's first steps scale to their own size.
  expect(largest(parts, whole)).toBeLessThan(2e-6);
  const [one, other] = await Promise.all(["whole", "parts"].map((name) => readLog(join(dir, name))));
  for (const [i, { loss, gradNorm }] of one!.entries()) {
    expect(gradNorm).toBeGreaterThan(0.1); // so that gradients are clipped, after they were averaged
    expect(other![i]!.loss).toBeCloseTo(loss, 5);
    expect(other![i]!.gradNorm).toBeCloseTo(gradNorm!, 5);
  }
});

test("a stopped run continues to the bit, with TensorAR, own drafts and dropout", async () => {
  const tensorar = {
    windowSize: 3,
    depth: 1,
    structure: "gated",
    evidence: "explicit",
    noise: { kind: "linear" },
  } as const;
  const made = () => task(3, { tensorar, dropout: 0.1, selfFraction: 0.5, classDropout: 0.1 });
  const run = { ...RUN, gradientAccumulation: 2, steps: 4 };
  const whole = await train(await made(), { ...run, out: join(dir, "through") });
  const out = join(dir, "stopped");
  const stop = new AbortController();
  const progress = () => ({ update: (done: number) => done === 2 && stop.abort(new Error("enough")), stop: () => {} });
  await expect(train(await made(), { ...run, out, signal: stop.signal, progress })).rejects.toThrow("enough");
  await expect(train(await made(), { ...run, out, resume: true, gradientAccumulation: 3 })).rejects.toThrow(
    /gradientAccumulation was 2, now 3/,
  );
  expect(await train(await made(), { ...run, out, resume: true })).toEqual(whole);
});

test.each([0, 1.5])("%s batches a step are refused", async (gradientAccumulation) => {
  const options = { ...RUN, out: join(dir, `refused ${gradientAccumulation}`), steps: 1, gradientAccumulation };
  await expect(train(numbered, options)).rejects.toThrow(/give a whole number from 1/);
});
