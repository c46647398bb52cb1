import "@tensorflow/tfjs";
import { BLANK, corruptWindows, slideWindows } from "@tensorar/noise";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { attachTensorAR, EVIDENCE, llamaGen, magvit2Ar, type Params, type TensorARModel } from "../src";
import { CachedDecode } from "./cached-decode";
import { randomCodes, TINY, tinyModel } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const R = 2;
const T = TINY.block_size;
const V = TINY.vocab_size;

const condition = () => tf.tensor1d([2, 0], "int32");

/** Input windows of which about half of the entries are noised, half of those blank. */
function noisedWindows(windowSize: number): Int32Array {
  const shape = { batch: R, windowSize };
  const codes = randomCodes("truth", [R, T], V);
  const clean = slideWindows(codes, { ...shape, tokens: T, count: T - 1 });
  const rates = Float64Array.from({ length: windowSize }, (_, j) => (j === 0 ? 0 : 0.5));
  return corruptWindows(clean, { ...shape, count: T - 1, vocabSize: V, rates, blank: 0.5, seed: 3, step: 0 });
}

const tensorOf = (windows: Int32Array, k: number) => tf.tensor(windows, [R, T - 1, k], "int32");

const explicit = (windowSize: number) => tinyModel({ windowSize, evidence: "explicit", blanks: true });

const logitsOf = (model: TensorARModel, params: Params, windows: Int32Array, evidence: boolean) =>
  model.forward(params, { condition: condition(), windows: tensorOf(windows, model.windowSize), evidence });

describe.each([2, 3, 8])("explicit evidence, window %d", (k) => {
  test("adds each view's number to the logit of its code", () => {
    const { model, params } = explicit(k);
    const windows = noisedWindows(k);
    const without = logitsOf(model, params, windows, false).dataSync();
    const expected = Float32Array.from(without);
    const weights = params[EVIDENCE]!.dataSync();
    for (let r = 0; r < R; r++)
      for (let i = 0; i < T; i++)
        for (let j = 0; j < k; j++)
          for (let m = 0; m < i; m++) {
            const depth = i + j - m; // at which input tensor m shows position i + j
            const code = depth < k ? windows[(r * (T - 1) + m) * k + depth]! : -1;
            if (code >= 0) expected[((r * T + i) * k + j) * V + code]! += weights[depth - 1]!;
          }
    expectClose("logits", logitsOf(model, params, windows, true).dataSync(), expected, { atol: 1e-5, rtol: 1e-5 });
  });

  test("is differentiable in the numbers: each has the sum of the gradients of its views' logits", () => {
    const { model, params } = explicit(k);
    const windows = noisedWindows(k);
    const gradient = tf.grad((weights: tf.Tensor) =>
      tf.sum(logitsOf(model, { ...params, [EVIDENCE]: weights }, windows, true)),
    )(params[EVIDENCE]!);
    // All gradients of logits are 1, so it counts views, one for each tensor that predicts the position that they show.
    const counts = Array.from({ length: k - 1 }, (_, i) => {
      const depth = i + 1;
      const shown = Array.from(windows.keys()).filter((at) => at % k === depth && windows[at]! >= 0);
      return shown.length * depth; // by the tensors m + 1 … m + depth after tensor m
    });
    expectClose("counts", gradient.dataSync(), counts, { atol: 1e-2, rtol: 1e-4 }); // differences of float32 sums
  });

  test("predicts final tokens as the base model does, as long as drafts are not read", () => {
    const { model, params } = explicit(k);
    const base = tinyModel({ windowSize: 1 });
    const unread: Params = {
      ...params,
      ...base.params,
      "tensorar.input.layers.0.wo.weight": tf.zerosLike(params["tensorar.input.layers.0.wo.weight"]!),
    };
    const windows = noisedWindows(k);
    const past = windows.filter((_, at) => at % k === 0);
    const final = tf.slice(logitsOf(model, unread, windows, false), [0, 0, 0, 0], [-1, -1, 1, -1]);
    const expected = logitsOf(base.model, base.params, past, false);
    expect([...final.dataSync()]).toEqual([...expected.dataSync()]);
  });

  test("cached decoding equals the whole forward without evidence, blanks included", () => {
    const { model, params } = explicit(k);
    const windows = noisedWindows(k);
    expect(windows).toContain(BLANK);
    const whole = logitsOf(model, params, windows, false);
    const decode = new CachedDecode(model, params, R, T);
    for (let position = 0; position < T; position++) {
      const window = tf.slice(tensorOf(windows, k), [0, Math.max(0, position - 1), 0], [-1, 1, -1]);
      const expected = tf.slice(whole, [0, position, 0, 0], [-1, 1, -1, -1]);
      const actual = decode.step(condition(), tf.squeeze(window, [1]));
      expectClose(`position ${position}`, actual.dataSync(), expected.dataSync(), { atol: 2e-5, rtol: 2e-5 }); // float32 sums
    }
  });
});

test("a blank is read as its own vector, and as nothing where the model has none", () => {
  const windows = noisedWindows(4);
  const padded = windows.map((code) => (code === BLANK ? -1 : code));
  const { model, params } = tinyModel({ windowSize: 4 });
  expect([...logitsOf(model, params, windows, false).dataSync()]).toEqual([
    ...logitsOf(model, params, padded, false).dataSync(),
  ]);
  const withBlanks = explicit(4);
  const blank = "tensorar.input.blank.weight";
  const other = { ...withBlanks.params, [blank]: tf.mul(withBlanks.params[blank]!, -1) };
  const largest = (weights: Params, given: Int32Array) =>
    Number(
      tf
        .max(
          tf.abs(
            tf.sub(
              logitsOf(withBlanks.model, weights, given, false),
              logitsOf(withBlanks.model, withBlanks.params, given, false),
            ),
          ),
        )
        .dataSync()[0],
    );
  expect(largest(other, windows)).toBeGreaterThan(0.01);
  expect(largest(other, padded)).toBe(0);
});

test("evidence of another kind, and explicit evidence of sub-tokens, are refused", () => {
  const backbone = llamaGen(TINY);
  const wrong = { windowSize: 2, evidence: "learned" } as unknown as { windowSize: number };
  expect(() => attachTensorAR(backbone, wrong)).toThrow(/evidence "learned" is unknown; use "implicit" or "explicit"/);
  const factorized = magvit2Ar({
    dim: 16,
    n_head: 2,
    spatial_n_layer: 1,
    factorized_n_layer: 1,
    multiple_of: 8,
    factorized_bits: [2, 2],
    block_size: 4,
    class_num: 2,
  });
  expect(() => attachTensorAR(factorized, { windowSize: 2, evidence: "explicit" })).toThrow(/use implicit/);
});

test("dropout is passed every site once, and refused by a backbone without", () => {
  const { model, params } = tinyModel({ windowSize: 2 });
  const windows = tensorOf(noisedWindows(2), 2);
  const sites: number[] = [];
  const rows = new Set<string>();
  const dropout = (x: tf.Tensor, site: number) => {
    sites.push(site);
    rows.add(String(x.shape));
    return tf.clone(x);
  };
  const forward = (given: TensorARModel, weights: Params) =>
    given.forward(weights, { condition: condition(), windows, dropout });
  const dropped = forward(model, params);
  expect([...sites]).toEqual(Array.from({ length: model.backbone.dropoutSites! }, (_, i) => i));
  expect([...rows]).toEqual([String([R * T, TINY.dim])]);
  expect([...dropped.dataSync()]).toEqual([...model.forward(params, { condition: condition(), windows }).dataSync()]);
  const { dropoutSites: _, ...without } = model.backbone;
  expect(() => forward(attachTensorAR(without, { windowSize: 2 }), params)).toThrow(/dropout: this backbone has none/);
});
