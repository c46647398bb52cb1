import "@tensorflow/tfjs";
import { readFileSync } from "node:fs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { attachTensorAR, lossAndGradients, type Params, windowLoss } from "../src";
import { CachedDecode } from "./cached-decode";
import { ownBackbone } from "./own-backbone";
import { randomTensor } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const { tokens: T, vocabSize: V, shapes } = ownBackbone;
const params = (): Params =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, randomTensor(name, [...shape], 0.2)]));
const code = (image: number, at: number): number => (at < T ? (7 * image + at * at) % V : -1);

/** Windows of k codes from each of the first `count` positions of two images. */
const windowsOf = (count: number, k: number): tf.Tensor3D =>
  tf.tensor3d(
    [0, 1].map((image) =>
      Array.from({ length: count }, (_, i) => Array.from({ length: k }, (_, j) => code(image, i + j))),
    ),
    [2, count, k],
    "int32",
  );

test("the page shows the backbone that is tested, which has fewer than 65 lines", () => {
  const source = readFileSync(new URL("own-backbone.ts", import.meta.url), "utf8");
  expect(source.trimEnd().split("\n").length).toBeLessThan(65);
  const page = readFileSync(new URL("../docs/own-backbone.md", import.meta.url), "utf8");
  expect(/```ts\n(.*?)```/s.exec(page)?.[1]).toBe(source);
});

test("TensorAR attaches: a fresh head keeps the logits, gradients reach every parameter, cached steps agree", () => {
  const condition = tf.tensor1d([2, 0], "int32");
  const base = params();
  const [one, model] = [1, 3].map((windowSize) => attachTensorAR(ownBackbone, { windowSize })) as [
    ReturnType<typeof attachTensorAR>,
    ReturnType<typeof attachTensorAR>,
  ];
  const plain = one.forward(base, { condition, windows: windowsOf(T - 1, 1) }); // [2, T, 1, V]
  const all = { ...base, ...model.initModules(1) };
  const windows = windowsOf(T - 1, 3);
  const fresh = model.forward(all, { condition, windows }); // [2, T, 3, V]
  expect([...tf.slice(fresh, [0, 0, 0, 0], [-1, -1, 1, -1]).dataSync()]).toEqual([...plain.dataSync()]);

  const { grads } = lossAndGradients(all, (each) =>
    windowLoss(model.forward(each, { condition, windows }), windowsOf(T, 3)),
  );
  expect(Object.keys(grads).sort()).toEqual(Object.keys(model.shapes).sort());
  for (const name of Object.keys(shapes)) expect(tf.norm(grads[name]!).dataSync()[0], name).toBeGreaterThan(0);

  const decode = new CachedDecode(one, base, 2, T);
  const expected = tf.unstack(tf.squeeze(plain, [2]), 1);
  for (const [step, logits] of expected.entries()) {
    const window = tf.tensor2d(
      [[code(0, step - 1)], [code(1, step - 1)]].map(([c]) => [Math.max(0, c!)]),
      [2, 1],
      "int32",
    );
    // Sums in another order: float32 noise of logits of size 1.
    expectClose(`step ${step}`, decode.step(condition, window).dataSync(), logits.dataSync(), {
      atol: 1e-5,
      rtol: 1e-5,
    });
  }
});
