import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStream } from "@tensorar/noise";
import { compile, openModel, type TensorData } from "@tensorar/onnx";
import { cachedDecoder, classLabels, generate } from "@tensorar/sampler";
import type * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportFolders, readManifest } from "../src/index";
import { generationUniforms } from "../src/philox-graph";
import { eagerBackend } from "../src/runtimes";
import { writeModel, writeTinyModel, writeTinyTokenizer } from "./tiny-folders";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar whole "));
  await eagerBackend();
  await writeTinyTokenizer(at("tokenizer"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const ints = (...data: number[]) => ({ dtype: "int32" as const, shape: [data.length], data: Int32Array.from(data) });
const floats = (...data: number[]) => ({
  dtype: "float32" as const,
  shape: [data.length],
  data: Float32Array.from(data),
});

test.each([1, 2, 5, 7])("random numbers are those of the sampler's streams, window %i", async (windowSize) => {
  const tokens = 6;
  const run = await compile(
    ({ seed, index }: { seed: tf.Tensor; index: tf.Tensor }) => ({
      u: generationUniforms(seed, index, tokens, windowSize),
    }),
    { seed: { dtype: "int32", shape: ["batch"] }, index: { dtype: "int32", shape: ["batch"] } },
    { runtime: ort },
  );
  const [seeds, indices] = [[0, 12345, 2 ** 31 - 1], [0, 70000, 3]]; // biome-ignore format: one row
  const { u } = await run({ seed: ints(...seeds!), index: ints(...indices!) });
  const expected = seeds!.flatMap((seed, row) =>
    Array.from({ length: tokens }, (_, position) => {
      const draft = createStream(seed, "draft", indices![row]!, position);
      const token = createStream(seed, "token", indices![row]!, position).uniform();
      return [token, ...Array.from({ length: windowSize - 1 }, () => draft.uniform())];
    }),
  );
  const cut = expected.flat().map((value) => Math.floor(value * 2 ** 24) / 2 ** 24);
  expect([...((u as TensorData).data as Float32Array)]).toEqual(cut);
  await run.dispose();
});

test.each([
  { windowSize: 1, topK: 0, topP: 1 },
  { windowSize: 3, topK: 4, topP: 1 },
  { windowSize: 3, topK: 0, topP: 0.7 },
])("the same seeds draw the same codes as step by step: %j", async ({ windowSize, topK, topP }) => {
  const name = `${windowSize} ${topK} ${topP}`;
  await writeTinyModel(at(`model ${name}`), windowSize);
  await exportFolders(at(`model ${name}`), at("tokenizer"), at(name), { whole: { topK, topP } });
  const manifest = await readManifest(at(name));
  const { tokens, windowSize: k, vocabSize, cache, nullCondition } = manifest;
  const [whole, step, toImages] = await Promise.all(
    ["generation.onnx", "decoder.onnx", "image-decoder.onnx"].map((file) =>
      openModel(at(name, file), { runtime: ort }),
    ),
  );
  const decoder = cachedDecoder({
    ...{ tokens, windowSize: k, vocabSize, cache, conditioning: classLabels(nullCondition) },
    run: async (inputs) => (await step!(inputs as never)) as never,
  });
  const [conditions, seeds, scales, temperature] = [[0, 2, 1, 1], [5, 5, 6, 8], [1, 3, 1.5, 4], 0.8] as const; // biome-ignore format: one row
  const results = (await whole!({
    condition: ints(...conditions),
    seed: ints(...seeds),
    index: ints(0, 0, 0, 0),
    scale: floats(...scales),
    temperature: { dtype: "float32", shape: [], data: Float32Array.of(temperature) },
  })) as unknown as { codes: TensorData; images: TensorData };
  const options = {
    temperature,
    topK,
    topP,
    drafts: { kind: "raw" },
    guidance: { kind: "constant", scale: 1 },
  } as const;
  const loop = generate(decoder, { ...options, conditions, seed: seeds, scales });
  let event = await loop.next();
  while (!event.done) event = await loop.next();
  expect(results.codes.shape).toEqual([4, tokens]);
  expect([...results.codes.data]).toEqual([...event.value.codes]);
  const codes = { dtype: "int32" as const, shape: [4, tokens], data: event.value.codes };
  const { images } = (await toImages!({ codes })) as unknown as { images: TensorData };
  for (const [i, value] of (images.data as Float32Array).entries())
    expect(Math.abs((results.images.data as Float32Array)[i]! - value)).toBeLessThan(1e-5);
  await Promise.all([whole!.dispose(), step!.dispose(), toImages!.dispose()]);
});

test("models whose condition is more than a class are refused", async () => {
  const rar = {
    ...{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 },
    ...{ image_seq_len: 16, condition_num_classes: 3, codebook_size: 11 },
  };
  await writeModel(at("rar"), 1, "rar", rar);
  const refused = exportFolders(at("rar"), at("tokenizer"), at("no"), { whole: { topK: 0, topP: 1 } });
  await expect(refused).rejects.toThrow(/models of one class slot/);
});
