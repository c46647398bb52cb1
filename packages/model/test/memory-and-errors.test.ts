import "@tensorflow/tfjs";
import { slideWindows } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  adamW,
  attachTensorAR,
  checkTensors,
  emaUpdate,
  initAdamW,
  llamaGen,
  lossAndGradients,
  ShapeError,
  selfWindows,
  TensorARError,
  windowLoss,
} from "../src";
import { randomCodes, TINY, tinyModel } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const [R, T, V, k] = [2, TINY.block_size, TINY.vocab_size, 4];

/** Tensors that a call leaves behind, minus those of its result; the result is disposed. */
function leaked(call: () => unknown): number {
  const before = tf.memory().numTensors;
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (!(error instanceof TensorARError)) throw error;
  }
  tf.dispose(result as tf.TensorContainer);
  return tf.memory().numTensors - before;
}

const { model, params } = (() => tinyModel({ windowSize: k, structure: "gated" }))();
const { cache } = model.backbone;
const slide = (count: number) =>
  tf.tensor(
    slideWindows(randomCodes("truth", [R, T], V), { batch: R, tokens: T, windowSize: k, count }),
    [R, count, k],
    "int32",
  );
const inputs = { condition: tf.tensor1d([0, 1], "int32"), windows: slide(T - 1), uniforms: tf.zeros([R, T, k]) };
const targets = slide(T);
const layers = (shape: number[]) => Array.from({ length: cache.layers }, () => tf.zeros(shape));
const decodeInputs = {
  condition: inputs.condition,
  window: tf.zeros([R, k], "int32"),
  position: tf.tensor1d([2], "int32"),
  mask: tf.zeros([R, 5]),
  keys: layers([R, cache.heads, 5, cache.headDim]),
  values: layers([R, cache.heads, 5, cache.headDim]),
};
const scalars = { learningRate: tf.scalar(0.1), step: tf.scalar(1) };
const moments = initAdamW(params);
const adamOptions = { ...scalars, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05, clip: 1 } as const;
const logits = tf.zeros([R, T, k, V]);

describe("tensors", () => {
  const calls: Record<string, () => unknown> = {
    initModules: () => model.initModules(1),
    forward: () => model.forward(params, inputs),
    decode: () => model.decode(params, decodeInputs),
    windowLoss: () => windowLoss(logits, targets),
    selfWindows: () => selfWindows(model, params, inputs),
    adamW: () => adamW(params, params, moments, adamOptions),
    emaUpdate: () => emaUpdate(params, params, 0.9),
    gradients: () => lossAndGradients(params, (each) => windowLoss(model.forward(each, inputs), targets)),
  };
  test.each(Object.keys(calls))("%s leaves none but its result", (name) => {
    expect(leaked(calls[name]!)).toBe(0);
  });

  const failing: Record<string, () => unknown> = {
    forward: () => model.forward(params, { ...inputs, windows: targets }),
    "forward with a missing parameter": () => model.forward({ ...params, "norm.weight": undefined as never }, inputs),
    decode: () => model.decode(params, { ...decodeInputs, keys: [] }),
    windowLoss: () => windowLoss(logits, inputs.windows),
    selfWindows: () => selfWindows(model, params, { ...inputs, uniforms: logits }),
    adamW: () => adamW(params, {}, moments, adamOptions),
    emaUpdate: () => emaUpdate(params, {}, 0.9),
  };
  test.each(Object.keys(failing))("%s leaves none when it fails", (name) => {
    expect(failing[name]).toThrow(TensorARError);
    expect(leaked(failing[name]!)).toBe(0);
  });
});

describe("errors name the thing, the value and what would be right", () => {
  const narrow = tf.zeros([R, T - 1, 5], "int32");
  test.each<[string, () => unknown, RegExp]>([
    ["window", () => model.forward(params, { ...inputs, windows: narrow }), /window 5 does not fit windowSize 4.*cut/],
    ["count", () => model.forward(params, { ...inputs, windows: targets }), /windows has shape \[2, 16, 4\].*15/],
    ["window size", () => attachTensorAR(llamaGen(TINY), { windowSize: 17 }), /window 17 does not fit 16 tokens/],
    ["depth", () => attachTensorAR(llamaGen(TINY), { windowSize: 4, depth: 0 }), /depth 0/],
    [
      "structure",
      () => attachTensorAR(llamaGen(TINY), { windowSize: 4, structure: "other" as "maps" }),
      /structure "other" is unknown; use "maps"/,
    ],
    [
      "missing parameter",
      () => model.forward({}, inputs),
      /parameter "cls_embedding.embedding_table.weight" \[4,32\] is missing; load it/,
    ],
    [
      "misshapen parameter",
      () => model.forward({ ...params, "norm.weight": inputs.condition }, inputs),
      /"norm.weight" has shape \[2\], the config asks for \[32\]/,
    ],
    ["cache", () => model.decode(params, { ...decodeInputs, keys: [] }), /cache.keys holds 0 layers; pass 2/],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(TensorARError);
  });

  test("loaded tensors", () => {
    const shapes = { a: [2], b: [1, 2] };
    const tensor = (shape: number[]) => ({ dtype: "float32" as const, shape, data: new Float32Array(2) });
    const check = (tensors: Parameters<typeof checkTensors>[1]) => () =>
      checkTensors(shapes, tensors, "model.safetensors");
    expect(check({ a: tensor([2]), b: tensor([1, 2]) })).not.toThrow();
    expect(check({ a: tensor([2]) })).toThrow(/model.safetensors: tensor "b" \[1,2\] is missing/);
    expect(check({ a: tensor([2]), b: tensor([2, 1]) })).toThrow(ShapeError);
    expect(check({ a: tensor([2]), b: tensor([1, 2]), c: tensor([2]) })).toThrow(/tensor "c" is not part of the model/);
  });
});
