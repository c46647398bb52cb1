import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel, type ModelFolder, modelOf, saveModel } from "../src/node";
import { randomCodes, TINY } from "./random";

let folder: string;
beforeAll(async () => {
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
  expect(await loadModel(folder)).toEqual(model);
});

test("a config that does not fit the tensors is refused, naming file and tensor", async () => {
  await saveModel(folder, described(), "float32");
  const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  config.tensorar.structure = "maps";
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await expect(loadModel(folder)).rejects.toThrow(/model\.safetensors: tensor "tensorar\.output\.layers\.0\.maps/);
});
