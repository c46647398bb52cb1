import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { castTensor } from "@tensorar/checkpoint";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseModel, toParams } from "../src";
import { loadModel, type ModelFolder, modelOf, saveModel } from "../src/node";
import { randomCodes, TINY } from "./random";

let folder: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "tensorar-model-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const description = {
  kind: "llamagen" as const,
  backbone: TINY,
  tensorar: { windowSize: 4, depth: 1, structure: "gated" as const },
  noiseRates: [0, 0.5, 0.75, 1],
  grid: [4, 4] as [number, number],
  classes: ["a", "b", "c"],
};

/** Eighths, which float16 holds exactly. */
function described(): ModelFolder {
  const tensors = Object.entries(modelOf(description).shapes).map(([name, shape]) => {
    const data = Float32Array.from(randomCodes(name, shape, 64), (code) => (code - 32) / 8);
    return [name, { dtype: "float32" as const, shape, data }];
  });
  return { ...description, tensors: Object.fromEntries(tensors) };
}

test.each(["float32", "float16"] as const)("a model saved as %s is read back", async (dtype) => {
  const model = described();
  await saveModel(folder, model, dtype);
  const { model: functions, ...read } = await loadModel(folder);
  expect(read).toEqual(model);
  expect(functions.shapes).toEqual(modelOf(model).shapes);
});

test("a config that does not fit the tensors is refused, naming file and tensor", async () => {
  await saveModel(folder, described(), "float32");
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  config.tensorar.structure = "maps";
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await expect(loadModel(folder)).rejects.toThrow(/model\.safetensors: tensor "tensorar\.output\.layers\.0\.maps/);
});

const rewriteConfig = async (change: Record<string, unknown>) => {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
};

test.each([
  [{ grid: [2, 8] }, /grid 2 x 8, but the model's 16 tokens are 4 x 4/],
  [{ classes: ["a", "b"] }, /2 names of classes, but the model has 3/],
  [{ noiseRates: [0, 0.5, 1] }, /3 noise rates for a window of 4/],
  [{ noiseRates: [0, 0.5, 0.75, 1.5] }, /a noise rate of 1.5/],
  [{ noiseRates: [0, -1, 0.75, 1] }, /a noise rate of -1/],
  [{ backbone: { ...TINY, n_layer: 1e6 } }, /n_layer = 1000000; at most 1024/],
  [{ backbone: { ...TINY, block_size: 1e8 } }, /block_size = 100000000; at most 65536/],
  [{ tensorar: { windowSize: 4, depth: 1e9, structure: "gated" } }, /depth = 1000000000; at most 1024/],
  [{ classes: ["a", "b", "other"] }, /config\.json: .*checksums\.txt/],
])("a config that contradicts the model is refused at once: %j", async (change, message) => {
  await saveModel(folder, described(), "float32");
  await rewriteConfig(change);
  const begun = performance.now();
  const loading = loadModel(folder);
  await expect(loading).rejects.toThrow(message);
  await expect(loading).rejects.toThrow(join(folder, "config.json"));
  expect(performance.now() - begun).toBeLessThan(5000); // loops over such counts take minutes to hours
});

test("a flipped bit of the weights is found, and what loading would refuse is not saved", async () => {
  await saveModel(folder, described(), "float16");
  const weights = join(folder, "model.safetensors");
  const bytes = await readFile(weights);
  bytes[bytes.length - 9]! ^= 1;
  await writeFile(weights, bytes);
  await expect(loadModel(folder)).rejects.toThrow(`${weights}: other contents than checksums.txt lists`);
  await expect(saveModel(folder, { ...described(), grid: [1, 16] }, "float32")).rejects.toThrow(/saveModel: grid/);
  expect(await readFile(weights)).toEqual(bytes);
});

test("a folder is what its files hold, wherever they come from, and its tensors are parameters", () => {
  const model = described();
  const { tensors, ...config } = model;
  const halves = Object.fromEntries(Object.entries(tensors).map(([name, each]) => [name, castTensor(each, "float16")]));
  const { model: functions, ...parsed } = parseModel(JSON.parse(JSON.stringify(config)), halves);
  expect(parsed).toEqual(model);
  expect(functions.shapes).toEqual(modelOf(model).shapes);
  const before = tf.memory().numTensors;
  const params = toParams(halves);
  for (const [name, { shape }] of Object.entries(tensors)) expect(params[name]!.shape).toEqual(shape);
  expect(params["norm.weight"]!.dataSync()).toEqual(tensors["norm.weight"]!.data);
  expect(params["norm.weight"]!.dtype).toBe("float32");
  tf.dispose(params);
  expect(tf.memory().numTensors).toBe(before);

  expect(() => parseModel({ ...config, grid: 4 }, halves)).toThrow(/^config\.json: not a model folder.*grid/);
  const { "norm.weight": _, ...fewer } = halves;
  const files = { config: "https://host/config.json", tensors: "https://host/model.safetensors" };
  expect(() => parseModel(config, fewer, files)).toThrow(/^https:\/\/host\/model\.safetensors.*norm\.weight/);
  const ids = toParams({ ids: { dtype: "int32", shape: [2], data: Int32Array.of(3, 16_777_217) } }).ids!;
  expect([ids.dtype, ...ids.dataSync()]).toEqual(["int32", 3, 16_777_217]);
});
