import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TensorSpec } from "@tensorar/core";
import { loadCodes } from "@tensorar/data";
import { loadModel } from "@tensorar/model/node";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyCodes } from "../../data/test/tiny-codes";
import {
  classConditions,
  finetuneTask,
  type GradientInputs,
  initialTrainingState,
  optimized,
  pretrainTask,
  readLog,
  type TrainingTask,
  train,
  type Validation,
} from "../src/index";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-training-"));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true }));

const SIZES = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 };
const RUN = { warmupSteps: 2, logEvery: 1, checkpointEvery: 100, threads: 1 };

const codes = () => loadCodes(join(dir, "codes"));
const baseTask = async () => pretrainTask(await codes(), SIZES, { batchSize: 4 });

test("a base model, and TensorAR attached to it, from codes", async () => {
  const base = join(dir, "base");
  const weights = await train(await baseTask(), { ...RUN, out: base, steps: 3 });
  const model = await loadModel(base);
  expect(model.tensors).toEqual(weights);
  expect(model).toMatchObject({ classes: ["round", "square"], grid: [3, 3], training: { batchSize: 4 } });
  expect((await readLog(base)).map(({ step }) => step)).toEqual([1, 2, 3]);

  const tensorar = { windowSize: 2, depth: 1, structure: "gated", noise: { kind: "linear" } } as const;
  const conditions = classConditions((await codes()).labels, 2);
  const options = { batchSize: 4, selfFraction: 0.5 };
  const task = finetuneTask({ model, dir: base }, await codes(), conditions, tensorar, options);
  await train(task, { ...RUN, out: join(dir, "tensorar"), steps: 2 });
  const attached = await loadModel(join(dir, "tensorar"));
  expect(attached.tensorar).toEqual({ windowSize: 2, depth: 1, structure: "gated" });
  const [entry] = await readLog(join(dir, "tensorar"));
  expect(entry).toMatchObject({ crossEntropy0: expect.any(Number), crossEntropy1: expect.any(Number) });
});

test("a run that was stopped continues to the bit, with the same recipe only", async () => {
  const whole = await train(await baseTask(), { ...RUN, out: join(dir, "whole"), steps: 4 });
  const out = join(dir, "stopped");
  const stop = new AbortController();
  const notes: string[] = [];
  const update = (done: number) => {
    if (done === 2) stop.abort(new Error("enough"));
  };
  const progress = () => ({ update, stop: () => {} });
  const options = { ...RUN, out, steps: 4, note: (line: string) => notes.push(line) };
  await expect(train(await baseTask(), { ...options, signal: stop.signal, progress })).rejects.toThrow("enough");
  expect(notes.at(-1)).toBe("stopped at step 2; continue with --resume");
  expect(await readdir(join(out, "checkpoints"))).toEqual(["step-00000002"]);
  await expect(train(await baseTask(), options)).rejects.toThrow(/already holds a run/);
  const other = pretrainTask(await codes(), SIZES, { batchSize: 3 });
  await expect(train(other, { ...options, resume: true })).rejects.toThrow(/batchSize was 4, now 3/);
  expect(await train(await baseTask(), { ...options, resume: true })).toEqual(whole);
});

type Target = { target: TensorSpec };

/** Draws a number towards 3, or whatever else its loss says. */
const ownTask = (loss: (x: tf.Tensor) => tf.Tensor): TrainingTask<Target> => ({
  title: "own",
  recipe: {},
  batchSpec: { target: { dtype: "float32", shape: [1] } },
  initialState: () => initialTrainingState({ x: { dtype: "float32", shape: [1], data: Float32Array.of(0) } }),
  ...optimized({ weightDecay: 0, emaDecay: 0 }, ({ x }, { batch }: GradientInputs<Target>) => ({
    loss: tf.sum(loss(tf.sub(x!, batch.target))),
  })),
  batch: async () => ({ target: { dtype: "float32", shape: [1], data: Float32Array.of(3) } }),
  save: async () => {},
});

test("a loss on held-out images that is not finite ends the run, and no checkpoint keeps it", async () => {
  const own = ownTask((difference) => tf.square(difference));
  const validation: Validation = {
    batchSpec: own.batchSpec,
    batches: 1,
    batch: async () => ({ target: { dtype: "float32", shape: [1], data: Float32Array.of(3) } }),
    // The square root of -x: NaN as soon as x has moved towards 3.
    metrics: ({ params }) => ({ loss: tf.sum(tf.sqrt(tf.neg(params.x!))) }),
  };
  const out = join(dir, "not finite");
  const options = { ...RUN, out, steps: 4, checkpointEvery: 1, validateEvery: 2, learningRate: 0.2 };
  await expect(train({ ...own, validation }, options)).rejects.toThrow(
    /^own: step 2: heldOutLoss is NaN; the checkpoint of step 1 in .*not finite is good; start anew/,
  );
  expect(await readdir(join(out, "checkpoints"))).toEqual(["step-00000001"]);
  expect((await readLog(out)).map(({ step }) => step)).toEqual([1]);
});

test.each(["onnx", "cpu"] as const)("a task of one's own on the engine %s", async (engine) => {
  const task = ownTask((difference) => tf.square(difference));
  const options = { ...RUN, out: join(dir, `own ${engine}`), steps: 60, learningRate: 0.2, engine };
  const { x } = await train(task, options);
  // Adam nears the least value in steps of about the learning rate.
  expect(Math.abs(Number(x!.data[0]) - 3)).toBeLessThan(0.2);
  const gone = ownTask((difference) => tf.log(difference)); // of a negative number
  await expect(train(gone, { ...options, overwrite: true })).rejects.toThrow(/own: step 1: loss is NaN/);
});
