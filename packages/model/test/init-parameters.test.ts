import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { attachTensorAR, initLlamaGen, initParameters, llamaGenConfig, llamaGenShapes } from "../src";
import { ownBackbone } from "./own-backbone";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("LlamaGen's own parameters are those of its scheme for any shapes", () => {
  const sizes = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8, block_size: 4, vocab_size: 6, num_classes: 2 };
  const config = llamaGenConfig("GPT-B", sizes);
  const own = initLlamaGen(config, 3);
  const any = initParameters(llamaGenShapes(config), 3, { zeros: (name) => name === "output.weight" });
  expect(Object.keys(any)).toEqual(Object.keys(own));
  for (const [name, tensor] of Object.entries(own)) expect(any[name]!.dataSync(), name).toEqual(tensor.dataSync());
});

test("norms begin at one, biases at zero, the rest normal; a parameter hangs on seed and name alone", () => {
  const shapes = { "0.norm.weight": [3], "0.norm.bias": [3], "0.qkv_bias": [2, 2], "0.up.weight": [100, 100] };
  const params = initParameters(shapes, 1, { std: 0.5, zeros: undefined });
  expect([...params["0.norm.weight"]!.dataSync()]).toEqual([1, 1, 1]);
  expect([...params["0.norm.bias"]!.dataSync()]).toEqual([0, 0, 0]);
  expect([...params["0.qkv_bias"]!.dataSync()]).toEqual([0, 0, 0, 0]);
  const { mean, variance } = tf.moments(params["0.up.weight"]!);
  // Five standard errors of 10,000 draws: 0.5 / 100 for the mean, 0.25 · √(2 / 10,000) for the variance.
  expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(0.025);
  expect(Math.abs(variance.dataSync()[0]! - 0.25)).toBeLessThan(0.018);
  const alone = initParameters({ "0.up.weight": [100, 100] }, 1, { std: 0.5 });
  expect(alone["0.up.weight"]!.dataSync()).toEqual(params["0.up.weight"]!.dataSync());
  expect(() => initParameters(shapes, 1, { std: 0 })).toThrow("std 0 is out of range");
});

test("a backbone of one's own and the modules around it start from their shapes", () => {
  const model = attachTensorAR(ownBackbone, { windowSize: 2 });
  const params = { ...initParameters(ownBackbone.shapes, 1), ...model.initModules(1) };
  expect(Object.keys(params).sort()).toEqual(Object.keys(model.shapes).sort());
  const T = ownBackbone.tokens;
  const inputs = { condition: tf.tensor1d([1], "int32"), windows: tf.zeros<tf.Rank.R3>([1, T - 1, 2], "int32") };
  expect(model.forward(params, inputs).shape).toEqual([1, T, 2, ownBackbone.vocabSize]);
});
