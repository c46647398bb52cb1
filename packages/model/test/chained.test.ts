import "@tensorflow/tfjs";
import { createStream, slideWindows } from "@tensorar/noise";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { attachTensorAR, llamaGen, magvit2Ar, refuseChained, sampleFromLogits, selfWindows } from "../src";
import { randomCodes, TINY, tinyModel } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const [R, T, V] = [2, TINY.block_size, TINY.vocab_size];
// float32 sums in another order
const CLOSE = { atol: 1e-5, rtol: 1e-5 };

/** True codes, and windows of them as input tensors and as targets. */
function inputs(k: number) {
  const codes = randomCodes("truth", [R, T], V);
  const shape = { batch: R, tokens: T, windowSize: k };
  return {
    condition: tf.tensor1d([2, 0], "int32"),
    windows: tf.tensor(slideWindows(codes, { ...shape, count: T - 1 }), [R, T - 1, k], "int32"),
    targets: tf.tensor(slideWindows(codes, shape), [R, T, k], "int32"),
  };
}

describe.each([2, 3, 5])("a chained model, window %d", (k) => {
  test("predicts each entry in training as step by step, given the entries before it", () => {
    const { model, params } = tinyModel({ windowSize: k, structure: "chained" });
    const given = inputs(k);
    const logits = model.forward(params, given); // [R, T, k, V]
    const states = model.states(params, given); // [R, T, k, D]
    const entry = (j: number) => tf.squeeze(tf.slice(logits, [0, 0, j, 0], [-1, -1, 1, -1]), [2]);
    const own = tf.slice(states, [0, 0, 0, 0], [-1, -1, 1, -1]);
    expectClose("entry 0", entry(0).dataSync(), model.backbone.head(params, own).dataSync(), CLOSE);
    const entries = tf.unstack(tf.maximum(given.targets, tf.scalar(0, "int32")), -1);
    for (let j = 1; j < k; j++) {
      const next = model.nextEntry(params, { states, known: entries.slice(0, j) });
      expect(next.shape).toEqual([R, T, V]);
      expectClose(`entry ${j}`, entry(j).dataSync(), next.dataSync(), CLOSE);
    }
  });

  test("an entry depends on all entries before it and on no others", () => {
    const { model, params } = tinyModel({ windowSize: k, structure: "chained" });
    const given = inputs(k);
    const before = model.forward(params, given).arraySync() as number[][][][];
    for (let changed = 0; changed < k; changed++) {
      const at = tf.cast(tf.equal(tf.range(0, k, 1, "int32"), tf.scalar(changed, "int32")), "int32"); // [k]
      const targets = tf.mod(tf.add(given.targets, at), tf.scalar(V, "int32"));
      const after = model.forward(params, { ...given, targets }).arraySync() as number[][][][];
      for (let j = 0; j < k; j++) {
        const same = JSON.stringify(after[0]![4]![j]) === JSON.stringify(before[0]![4]![j]);
        expect(same, `entry ${j} after another entry ${changed}`).toBe(j <= changed);
      }
    }
  });

  test("fresh modules change nothing: all entries are predicted as by the base model", () => {
    const { params } = tinyModel({ windowSize: k, structure: "chained" });
    const model = attachTensorAR(llamaGen(TINY), { windowSize: k, structure: "chained" });
    const fresh = { ...params, ...model.initModules(4) };
    const given = inputs(k);
    const base = attachTensorAR(llamaGen(TINY), { windowSize: 1 });
    const windows = tf.slice(given.windows, [0, 0, 0], [-1, -1, 1]);
    const expected = base.forward(fresh, { condition: given.condition, windows }); // [R, T, 1, V]
    const actual = model.forward(fresh, given);
    expectClose("logits", actual.dataSync(), tf.tile(expected, [1, 1, k, 1]).dataSync(), CLOSE);
  });

  test("a step returns the logits of entry 0 and all states", () => {
    const { model, params } = tinyModel({ windowSize: k, structure: "chained" });
    const { logits, states } = model.decode(params, {
      condition: tf.tensor1d([2, 0], "int32"),
      window: tf.zeros([R, k], "int32"),
      position: tf.tensor1d([0], "int32"),
      mask: tf.fill([R, 1], -1e9),
      keys: Array.from({ length: 2 }, () => tf.zeros([R, 2, 1, 8])),
      values: Array.from({ length: 2 }, () => tf.zeros([R, 2, 1, 8])),
    });
    expect([logits.shape, states!.shape]).toEqual([
      [R, 1, V],
      [R, k, TINY.dim],
    ]);
    const all = tf.squeeze(tf.slice(model.forward(params, inputs(k)), [0, 0, 0, 0], [-1, 1, 1, -1]), [1, 2]);
    expectClose("X[0]", logits.dataSync(), all.dataSync(), CLOSE);
  });

  test("own drafts are drawn one after the other", () => {
    const { model, params } = tinyModel({ windowSize: k, structure: "chained" });
    const { condition, windows } = inputs(k);
    const stream = createStream(4, "uniforms");
    const uniforms = tf.tensor(
      Float32Array.from({ length: R * T * k }, () => stream.uniform()),
      [R, T, k],
    );
    const drafts = selfWindows(model, params, { condition, windows, uniforms }); // [R, T-1, k]
    const states = model.states(params, { condition, windows });
    const [first, ...others] = tf.unstack(uniforms, -1); // [R, T]
    const own = tf.squeeze(tf.slice(states, [0, 0, 0, 0], [-1, -1, 1, -1]), [2]);
    const known = [sampleFromLogits(model.backbone.head(params, own), first!)];
    for (const numbers of others) known.push(sampleFromLogits(model.nextEntry(params, { states, known }), numbers));
    const [given, actual, drawn] = [windows, drafts, tf.stack(known, -1)].map(
      (each) => each.arraySync() as number[][][],
    );
    for (let r = 0; r < R; r++)
      for (let i = 0; i < T - 1; i++)
        for (let j = 0; j < k; j++) {
          const kept = given![r]![i]![j]!;
          expect(actual![r]![i]![j]).toBe(j === 0 || kept < 0 ? kept : drawn![r]![i]![j]);
        }
  });
});

test("what a chained model needs, and where it does not go", () => {
  const { model, params } = tinyModel({ windowSize: 3, structure: "chained" });
  const { targets: _, ...given } = inputs(3);
  expect(() => model.forward(params, given)).toThrow(/this model is chained; pass targets/);
  const states = tf.zeros([R, 3, TINY.dim]);
  const code = tf.zeros([R], "int32");
  expect(() => model.nextEntry(params, { states, known: [code, code, code] })).toThrow(/3 can't be followed/);
  expect(() => refuseChained(model, "a graph")).toThrow(/a graph draws all entries of a tensor at once/);
  const one = tinyModel({ windowSize: 1, structure: "chained" }).model;
  expect(one.chained).toBe(false);
  expect(() => refuseChained(one, "a graph")).not.toThrow();
  const subTokens = magvit2Ar({
    dim: 16,
    n_head: 2,
    spatial_n_layer: 1,
    factorized_n_layer: 1,
    multiple_of: 8,
    factorized_bits: [2, 2],
    block_size: 4,
    class_num: 2,
  });
  expect(() => attachTensorAR(subTokens, { windowSize: 2, structure: "chained" })).toThrow(/a model of sub-tokens/);
});
