import "./backend";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { decodeVq, encodeVq, initVq, vqLosses, vqShapes } from "../src";
import { leaked } from "./layout";
import { randomCodes, randomImages, TINY } from "./tiny";

let params: Record<string, tf.Tensor>;
let images: tf.Tensor4D;
let codes: tf.Tensor2D;
let pastTheEnd: tf.Tensor2D;
beforeAll(() => {
  params = initVq(TINY, 1);
  images = randomImages("images", [2, 8, 8, 3]);
  codes = randomCodes("codes", [2, 16], TINY.codebook_size);
  pastTheEnd = tf.tensor2d([0, 1, 2, TINY.codebook_size], [1, 4], "int32");
});

const calls: Record<string, () => unknown> = {
  initVq: () => initVq(TINY, 1),
  encodeVq: () => encodeVq(params, TINY, images),
  decodeVq: () => decodeVq(params, TINY, codes, [4, 4]),
  vqLosses: () => vqLosses(params, TINY, images),
  "vqLosses without an entropy loss": () => vqLosses(params, { ...TINY, entropy_loss_ratio: 0 }, images),
  gradients: () => {
    const names = Object.keys(params);
    const loss = (...tensors: tf.Tensor[]) =>
      vqLosses(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])), TINY, images).total;
    return tf.valueAndGrads(loss)(names.map((name) => params[name]!)) as never;
  },
};

test.each(Object.keys(calls))("%s leaves no tensors but its result", (name) => {
  expect(leaked(calls[name]!)).toBe(0);
});

test.each<[string, () => unknown, number]>([
  ["initVq", calls.initVq!, Object.keys(vqShapes(TINY)).length],
  ["encodeVq", calls.encodeVq!, 4],
  ["decodeVq", calls.decodeVq!, 1],
  ["vqLosses", calls.vqLosses!, 7],
])("%s gives its caller the tensors of its result", (_, call, count) => {
  const before = tf.memory().numTensors;
  const result = call();
  expect(tf.memory().numTensors - before).toBe(count);
  tf.dispose(result as tf.TensorContainer);
});

const failing: Record<string, () => unknown> = {
  "encodeVq with a missing parameter": () =>
    encodeVq({ ...params, "encoder.norm_out.bias": undefined as never }, TINY, images),
  "encodeVq with a misshapen parameter": () =>
    encodeVq({ ...params, "encoder.conv_out.weight": params["encoder.conv_in.weight"]! }, TINY, images),
  "decodeVq with a code out of range": () => decodeVq(params, TINY, pastTheEnd, [2, 2]),
  "vqLosses with images of another size": () => vqLosses(params, { ...TINY, in_channels: 1 }, images),
};

test.each(Object.keys(failing))("%s leaves none when it fails", (name) => {
  const before = tf.memory().numTensors;
  expect(failing[name]!).toThrow();
  expect(tf.memory().numTensors - before).toBe(0);
});
