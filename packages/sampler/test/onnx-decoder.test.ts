import "@tensorflow/tfjs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attachTensorAR, type DecodeInputs, initLlamaGen, llamaGen, llamaGenConfig, packRows } from "@tensorar/model";
import { compile, openModel } from "@tensorar/onnx";
import { saveModel } from "@tensorar/onnx/node";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { cachedDecoder, classLabels, deviceResidentDecoder, generate } from "../src";

// Programs as users write them: the type check of this file is as much of the test as what they print.

const sizes = { dim: 16, n_layer: 2, n_head: 2, multiple_of: 8, block_size: 9, vocab_size: 11, num_classes: 3 };
const config = llamaGenConfig("GPT-B", sizes);
const model = attachTensorAR(llamaGen(config), { windowSize: 2 });
const { tokens, vocabSize, cache, unconditionalClass } = model.backbone;
const decoding = { tokens, vocabSize, cache, windowSize: 2, conditioning: classLabels(unconditionalClass) };
const settings = { conditions: [0, 2], seed: 3, guidance: { kind: "constant", scale: 2 }, trace: true } as const;

/** Specs of one step, a size by name where it changes from call to call. */
const perLayer = Array.from({ length: cache.layers }, () => ({
  dtype: "float32" as const,
  shape: ["batch", cache.heads, "positions", cache.headDim],
}));
const specs = {
  window: { dtype: "int32", shape: ["batch", 2] },
  condition: { dtype: "int32", shape: ["batch"] },
  position: { dtype: "int32", shape: [1] },
  mask: { dtype: "float32", shape: ["batch", "positions"] },
  keys: perLayer,
  values: perLayer,
} as const;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

async function compiled() {
  // Not all zero, as a fresh head would be.
  const head = tf.randomNormal([11, 16], 0, 1, "float32", 5);
  const params = { ...initLlamaGen(config, 1), ...model.initModules(1), "output.weight": head };
  const step = (inputs: DecodeInputs) => packRows(model.decode(params, inputs));
  return compile(step, specs, { runtime: ort, weights: params });
}

async function last(loop: ReturnType<typeof generate>) {
  let result: { codes: number[]; trace: number[] } | undefined;
  for await (const { codes, trace } of loop) result = { codes: [...codes], trace: [...(trace ?? [])] };
  return result;
}

test("a model of one's own is compiled and sampled from; so is its file, whose outputs are known by name", async () => {
  const run = await compiled();
  const own = await last(generate(cachedDecoder({ ...decoding, run }), settings));
  expect(own?.codes).toHaveLength(2 * tokens);
  expect(own?.trace).toHaveLength(2 * tokens * 2);
  expect(new Set(own?.codes).size).toBeGreaterThan(2);

  const dir = await mkdtemp(join(tmpdir(), "decoder-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  await saveModel(run.model, join(dir, "decoder.onnx"));
  const opened = await openModel(join(dir, "decoder.onnx"), { runtime: ort });
  expect(await last(generate(cachedDecoder({ ...decoding, run: opened }), settings))).toEqual(own);
  await run.dispose();
  await opened.dispose();
});

test("a file that lacks what a step returns is refused by its names", async () => {
  const run = await compile(
    ({ x }) => ({ scores: tf.add(x, 1) }),
    { x: { dtype: "float32", shape: [1] } },
    { runtime: ort },
  );
  const decoder = cachedDecoder({ ...decoding, run: async () => run({ x: tf.zeros([1]) }) });
  await expect(decoder.start([0]).step(new Int32Array(2))).rejects.toThrow('returns "scores" and no "logits"');
  await run.dispose();
});

test("a cache that stays in the runtime is the state of the function", async () => {
  const resident = await compile(
    ({ window, mask, keys }: { window: tf.Tensor; mask: tf.Tensor; keys: readonly tf.Tensor[] }) => ({
      logits: tf.oneHot(tf.cast(tf.add(window, 1), "int32"), vocabSize),
      mask,
      keys: keys.map((key) => tf.add(key, 1)),
    }),
    { window: specs.window, mask: { dtype: "float32", shape: [1, 8] }, keys: [{ dtype: "float32", shape: [1, 2] }] },
    { runtime: ort, state: ["mask", "keys"] },
  );
  await resident.setState({ mask: tf.zeros([1, 8]), keys: [tf.zeros([1, 2])] });
  const { logits } = await resident({ window: tf.zeros([1, 2], "int32") });
  expect(logits.shape).toEqual([1, 2, vocabSize]);
  const { keys } = await resident.getState();
  expect([...(keys[0]?.data ?? [])]).toEqual([1, 1]);
  await resident.dispose();
});

// Types alone: never run.
export async function openResident(path: string) {
  const run = await openModel(path, { runtime: ort, providers: ["webgpu"], state: ["mask", "keys", "values"] });
  const decoder = deviceResidentDecoder({ ...decoding, conditionPositions: 1, run });
  return generate(decoder, { conditions: [1] });
}
