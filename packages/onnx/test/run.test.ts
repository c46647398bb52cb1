import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { serializeModel, trace } from "../src";
import { identityModel } from "../src/identity";
import { openModel } from "../src/run";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a model runs on host tensors, and on whatever has a type, a shape and a method that gets the data", async () => {
  const model = trace(({ x, y }: { x: tf.Tensor; y: tf.Tensor }) => tf.sub(x, y), {
    x: { dtype: "float32", shape: ["batch"] },
    y: { dtype: "float32", shape: ["batch"] },
  });
  const run = await openModel(serializeModel(model), { runtime: ort });
  const x = { dtype: "float32", shape: [3], data: Float32Array.of(5, 7, 9) } as const;
  const y = tf.tensor1d([1, 2, 3]);
  const ofAnotherCopy = { dtype: "float32", shape: [3], data: async () => Float32Array.of(1, 2, 3) };
  for (const feed of [y, ofAnotherCopy])
    expect(await run({ x, y: feed })).toMatchObject({ data: Float32Array.of(4, 5, 6) });
  await run.dispose();
});

test("the identity model, written without an encoder, copies tensors of every type and size", async () => {
  const data = Float32Array.from({ length: 300 }, (_, i) => i);
  const ports = [
    { name: "keys/0", dtype: "float32", shape: ["4*batch", 300] },
    { name: "naïve", dtype: "int32", shape: [] },
    { name: "halves", dtype: "float16", shape: [2] },
    { name: "mask", dtype: "bool", shape: ["length"] },
  ] as const;
  const session = await ort.InferenceSession.create(identityModel(ports));
  const feeds = {
    "keys/0": new ort.Tensor("float32", data, [1, 300]),
    naïve: new ort.Tensor("int32", Int32Array.of(-7), []),
    halves: new ort.Tensor("float16", Uint16Array.of(0x3c00, 0x7bff), [2]),
    mask: new ort.Tensor("bool", Uint8Array.of(1, 0, 1), [3]),
  };
  const results = await session.run(feeds);
  expect(Object.keys(results)).toEqual(["0.read", "1.read", "2.read", "3.read"]);
  for (const [i, feed] of Object.values(feeds).entries()) {
    expect(results[`${i}.read`]!.data).toEqual(feed.data);
    expect(results[`${i}.read`]!.dims).toEqual(feed.dims);
  }
  expect(session.inputMetadata[0]).toMatchObject({ shape: ["4*batch", 300] });
  await session.release();
});
