import "./backend";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { initVq, type VqConfig, vqShapes } from "../src";
import { TINY } from "./tiny";

/** Initial values by name; the tensors are disposed. */
function initial(config: VqConfig, seed: number): Record<string, Float32Array> {
  const params = initVq(config, seed);
  const values = Object.fromEntries(
    Object.entries(params).map(([name, tensor]) => [name, tensor.dataSync<"float32">()]),
  );
  tf.dispose(params);
  return values;
}

test("has every parameter, in its shape and as float32", () => {
  const params = initVq(TINY, 1);
  expect(Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, shape]))).toEqual(vqShapes(TINY));
  expect(new Set(Object.values(params).map(({ dtype }) => dtype))).toEqual(new Set(["float32"]));
  tf.dispose(params);
});

test("depends on the seed and nothing else", () => {
  const [first, again, other] = [initial(TINY, 1), initial(TINY, 1), initial(TINY, 2)];
  expect(again).toEqual(first);
  for (const [name, values] of Object.entries(first)) {
    if (new Set(values).size > 1) expect(other[name], name).not.toEqual(values);
  }
});

test("a parameter depends on its own name and shape, not on the rest of the configuration", () => {
  const [narrow, deep] = [initial(TINY, 1), initial({ ...TINY, num_res_blocks: 2, codebook_size: 12 }, 1)];
  const shared = Object.keys(narrow).filter((name) => narrow[name]!.length === deep[name]!.length);
  expect(shared.length).toBeGreaterThan(50);
  for (const name of shared) expect(deep[name], name).toEqual(narrow[name]);
});

// A uniform variable within ±a has standard deviation a / sqrt(3). The sample's own differs by less than 5 of its
// standard errors, a / sqrt(3) · sqrt(0.2 / n), and n samples come within 20a / n of the ends but for chance e^-20.
test("convolutions are uniform within 1 / sqrt(fan in), as PyTorch's", () => {
  const shapes = vqShapes(TINY);
  const values = initial(TINY, 7);
  const convolutions = Object.entries(shapes).filter(([, shape]) => shape.length === 4);
  expect(convolutions.length).toBeGreaterThan(20);
  for (const [name, shape] of convolutions) {
    const bound = 1 / Math.sqrt(shape[1]! * shape[2]! * shape[3]!);
    const weights = values[name]!;
    const n = weights.length;
    const largest = weights.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    expect(largest, name).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest, name).toBeGreaterThan(bound * (1 - 20 / n));
    const deviation = Math.sqrt(weights.reduce((sum, value) => sum + value ** 2, 0) / n);
    expect(Math.abs(deviation / (bound / Math.sqrt(3)) - 1), name).toBeLessThan(5 * Math.sqrt(0.2 / n));
    const bias = values[name.replace("weight", "bias")]!;
    expect(
      bias.every((value) => value !== 0 && Math.abs(value) <= Math.fround(bound)),
      name,
    ).toBe(true);
  }
});

test("norms begin at 1 and 0", () => {
  const values = initial(TINY, 1);
  const norms = Object.entries(vqShapes(TINY)).filter(([name, shape]) => /norm/.test(name) && shape.length === 1);
  expect(norms.length).toBeGreaterThan(20);
  for (const [name] of norms) expect(new Set(values[name])).toEqual(new Set([name.endsWith("weight") ? 1 : 0]));
});

test("codes are unit vectors where they are compared by angle, else within 1 / V", () => {
  const width = TINY.codebook_embed_dim;
  const unit = initial(TINY, 1)["quantize.embedding.weight"]!;
  for (let start = 0; start < unit.length; start += width) {
    expect(Math.hypot(...unit.subarray(start, start + width))).toBeCloseTo(1, 6); // rounding of float32 is 6e-8
  }
  const plain = initial({ ...TINY, codebook_l2_norm: false }, 1)["quantize.embedding.weight"]!;
  const largest = plain.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expect(largest).toBeLessThanOrEqual(1 / TINY.codebook_size);
  expect(largest).toBeGreaterThan(0.8 / TINY.codebook_size); // 96 uniform numbers: all below 0.8 by chance 5e-10
});

test("the seed must be one of the generator's", () => {
  for (const seed of [-1, 0.5, 2 ** 53]) expect(() => initVq(TINY, seed)).toThrow(/seed/);
});
