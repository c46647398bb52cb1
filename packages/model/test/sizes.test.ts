import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  countParameters,
  initLlamaGen,
  LLAMAGEN_SIZES,
  type LlamaGenSize,
  llamaGen,
  llamaGenConfig,
  moduleShapes,
  moduleSizes,
  type OutputStructure,
} from "../src";
import { llamaGenSizes } from "../src/llamagen-config";
import { TINY } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const names = Object.keys(LLAMAGEN_SIZES) as LlamaGenSize[];

// Millions of parameters as published in LlamaGen's README and in the comments of gpt.py.
const PUBLISHED: Record<LlamaGenSize, number> = {
  "GPT-B": 111,
  "GPT-L": 343,
  "GPT-XL": 775,
  "GPT-XXL": 1411,
  "GPT-3B": 3098,
};

test.each(names)("%s has the published number of parameters", (name) => {
  const millions = countParameters(llamaGen(llamaGenConfig(name)).shapes) / 1e6;
  expect(Math.abs(millions / PUBLISHED[name] - 1)).toBeLessThan(0.01);
});

// The paper's overhead at k = 4, depth 1: 111 M → 116 M, and so on.
const BUDGET = { "GPT-B": 0.046, "GPT-L": 0.027, "GPT-XL": 0.019, "GPT-XXL": 0.015 } as const;

describe.each(["maps", "gated"] satisfies OutputStructure[])("structure %s", (structure) => {
  test.each(Object.entries(BUDGET) as [LlamaGenSize, number][])("on %s stays within +%d", (name, share) => {
    const backbone = llamaGen(llamaGenConfig(name));
    const modules = countParameters(moduleShapes(moduleSizes(backbone, { windowSize: 4, structure })));
    expect(modules).toBeGreaterThan(0);
    expect(modules / countParameters(backbone.shapes)).toBeLessThanOrEqual(share);
  });
});

test("parameters start as the original's: norms 1, head 0, the rest normal with 0.02", () => {
  const params = initLlamaGen(TINY, 7);
  const values = (name: string) => [...params[name]!.dataSync()];
  expect(new Set(values("layers.1.ffn_norm.weight"))).toEqual(new Set([1]));
  expect(new Set(values("output.weight"))).toEqual(new Set([0]));
  const weights = values("layers.0.feed_forward.w1.weight");
  const mean = weights.reduce((a, b) => a + b) / weights.length;
  const deviation = Math.sqrt(weights.reduce((sum, w) => sum + (w - mean) ** 2, 0) / weights.length);
  // Standard errors: σ/√n of the mean, σ/√(2n) of the deviation; five of them.
  expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(weights.length));
  expect(Math.abs(deviation - 0.02)).toBeLessThan((5 * 0.02) / Math.sqrt(2 * weights.length));
  tf.dispose(params);
});

test("parameters depend on seed and name alone", () => {
  const [a, again, deeper, other] = [
    initLlamaGen(TINY, 7),
    initLlamaGen(TINY, 7),
    initLlamaGen({ ...TINY, n_layer: 3, vocab_size: 40 }, 7),
    initLlamaGen(TINY, 8),
  ];
  const wo = (params: Record<string, tf.Tensor>) => [...params["layers.1.attention.wo.weight"]!.dataSync()];
  expect(wo(again)).toEqual(wo(a));
  expect(wo(deeper)).toEqual(wo(a));
  expect(wo(other)).not.toEqual(wo(a));
  tf.dispose([a, again, deeper, other]);
});

test.each([
  [{ dim: 100, n_head: 3 }, /dim 100 is not a multiple of n_head 3/],
  [{ n_head: 4, n_kv_head: 3 }, /n_kv_head 3/],
  [{ block_size: 12 }, /block_size 12 is not a square/],
  [{ cls_token_num: 120 }, /cls_token_num 120/],
  [{ dim: 24, n_head: 4, n_kv_head: 4 }, /head width 6/],
  [{ n_layer: 0 }, /n_layer = 0/],
  [{ dim: 4e15, n_head: 1, n_kv_head: 1 }, /dim \/ n_head = 4000000000000000; at most 4096 is supported/],
  [{ model_type: "i2i" as "c2i" }, /model_type "i2i" is unknown/],
  [{ dim: { a: 1 } as never }, /dim = \{"a":1\}; use a positive integer/],
  [{ num_classes: "x".repeat(1e5) as never }, /num_classes = "x{76}\.\.\.; use a positive integer/],
])("config with %j is refused", (change, message) => {
  expect(() => llamaGen({ ...TINY, ...change })).toThrow(message);
});

test("the feed-forward's width follows the original's rounding", () => {
  expect(llamaGenSizes(llamaGenConfig("GPT-B")).hidden).toBe(2048); // 2/3 · 4 · 768, a multiple of 256 already
  expect(llamaGenSizes(llamaGenConfig("GPT-L")).hidden).toBe(2816); // 2730 rounded up
  expect(llamaGenSizes({ ...TINY, ffn_dim_multiplier: 1.3 }).hidden).toBe(112); // 85 → 110 → 112
});
