import "@tensorflow/tfjs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TensorData } from "@tensorar/checkpoint";
import { afterAll, beforeAll, expect, test } from "vitest";
import { initParameters, type ModelDescription, modelOf, parseModel } from "../src";
import { loadBackbone, loadModel, saveModel } from "../src/node";
import { ownBackbone } from "./own-backbone";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "own-backbone-"));
});
afterAll(() => rm(dir, { recursive: true }));

const FILE = fileURLToPath(new URL("own-backbone.ts", import.meta.url));
const description: ModelDescription = {
  kind: "own",
  backbone: {},
  tensorar: { windowSize: 1, depth: 1, structure: "maps" },
  noiseRates: [0],
  grid: [4, 4],
  classes: [],
};
const tensors = Object.fromEntries(
  Object.entries(initParameters(ownBackbone.shapes, 1)).map(([name, tensor]): [string, TensorData] => [
    name,
    { dtype: "float32", shape: tensor.shape, data: tensor.dataSync<"float32">().slice() },
  ]),
);

test("a folder of kind own is written and read with its backbone, and not without", async () => {
  const own = await loadBackbone(FILE);
  await saveModel(dir, { ...description, tensors }, "float32", own);
  const loaded = await loadModel(dir, own);
  expect(loaded.model.backbone.body).toBe(ownBackbone.body);
  expect(loaded.tensors).toEqual(tensors);
  await expect(loadModel(dir)).rejects.toThrow(
    /config\.json: kind is "own", a backbone that this package does not have; give its file with --backbone/,
  );
  expect(() => parseModel({ ...description, grid: [2, 2] }, tensors, undefined, ownBackbone)).toThrow("4 x 4");
});

test("a function makes the backbone of what config.json says", () => {
  const given: unknown[] = [];
  const model = modelOf({ ...description, backbone: { depth: 3 } }, (config) => {
    given.push(config);
    return ownBackbone;
  });
  expect(given).toEqual([{ depth: 3 }]);
  expect(model.shapes).toEqual(ownBackbone.shapes);
});

test("a backbone beside a family that the package has is refused", () => {
  const llamagen = { ...description, kind: "llamagen" as const };
  expect(() => modelOf(llamagen, ownBackbone)).toThrow('kind is "llamagen", which this package has');
});

test.each([
  [
    "without members",
    "export default { width: 3, shapes: null };",
    /: its default export lacks vocabSize \(number\), .*shapes \(object\)/,
  ],
  ["without a default among several", "export const a = 1; export const b = 2;", /: its default export lacks width/],
  ["that does not parse", "export default {", /correct the module, or compile it to JavaScript first/],
])("a file %s is refused by name", async (name, text, message) => {
  const file = join(dir, `${name}.mjs`);
  await writeFile(file, text);
  await expect(loadBackbone(file)).rejects.toThrow(message);
  await expect(loadBackbone(file)).rejects.toThrow(file);
});

test("a function that fails is told by its file", async () => {
  const file = join(dir, "failing.mjs");
  await writeFile(file, "export default (config) => config.sizes.width;");
  const own = await loadBackbone(file);
  expect(() => modelOf(description, own)).toThrow(/failing\.mjs: .*width.*; correct the module/);
});

test("a file that is not there", async () => {
  await expect(loadBackbone(join(dir, "none.js"))).rejects.toThrow(`cannot read "${join(dir, "none.js")}"`);
  expect(await loadBackbone(undefined)).toBeUndefined();
});
