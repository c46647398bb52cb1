import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { compile, openModel, serializeModel, type TensorData, trace } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a traced function computes what the eager one does, at every size of a symbolic batch", async () => {
  const w = tf.tensor2d([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const f = await compile(
    ({ x }) => ({ y: tf.softmax(tf.matMul(x, w, false, true)), m: tf.mean(x) }),
    { x: { dtype: "float32", shape: ["batch", 3] } },
    { runtime: ort },
  );
  for (const batch of [1, 3, 5]) {
    const x = tf.randomUniform([batch, 3]);
    const { y, m } = await f({ x });
    expect(Array.from(y.data as Float32Array)).toEqual(
      Array.from(tf.softmax(tf.matMul(x as tf.Tensor2D, w, false, true)).dataSync()).map((v) => expect.closeTo(v, 5)),
    );
    expect(m.data[0]).toBeCloseTo(tf.mean(x).dataSync()[0]!);
  }
  await f.dispose();
});

test("a training step", async () => {
  const loss = (w: tf.Tensor, x: tf.Tensor, y: tf.Tensor): tf.Scalar =>
    tf.losses.softmaxCrossEntropy(tf.oneHot(y as tf.Tensor1D, 4), tf.matMul(x, w)) as tf.Scalar;
  const step = ({ w, x, y }: { w: tf.Tensor; x: tf.Tensor; y: tf.Tensor }) => {
    const { value, grads } = tf.valueAndGrads((w: tf.Tensor) => loss(w, x, y))([w]);
    return { w: tf.sub(w, tf.mul(grads[0]!, 0.1)), loss: value };
  };
  const f = await compile(
    step,
    {
      w: { dtype: "float32", shape: [3, 4] },
      x: { dtype: "float32", shape: ["b", 3] },
      y: { dtype: "int32", shape: ["b"] },
    },
    { runtime: ort, state: ["w"] },
  );
  let w: tf.Tensor = tf.randomNormal([3, 4]);
  await f.setState({ w });
  for (let i = 0; i < 4; i++) {
    const x = tf.randomNormal([5, 3]);
    const y = tf.randomUniform([5], 0, 4, "int32");
    const r = await f({ x, y });
    const e = step({ w, x, y });
    expect(r.loss.data[0]).toBeCloseTo(e.loss.dataSync()[0]!, 5);
    w = e.w;
  }
  const state = await f.getState();
  expect(Array.from((state.w as TensorData).data as Float32Array)).toEqual(
    Array.from(w.dataSync()).map((v) => expect.closeTo(v, 4)),
  );
  await f.dispose();
});

test("a size that is a multiple of another one's fits it", async () => {
  const inputs = {
    pairs: { dtype: "float32", shape: ["2*batch", 3] },
    x: { dtype: "float32", shape: ["batch", 3] },
  } as const;
  const model = trace(
    ({ pairs, x }: { pairs: tf.Tensor; x: tf.Tensor }) => ({
      y: tf.add(tf.sum(tf.reshape(pairs, [-1, 2, 3]), 1), x),
      z: tf.concat([pairs, x], 0),
    }),
    inputs,
  );
  expect([...model.inputs, ...model.outputs].map(({ shape }) => shape[0])).toEqual([
    "2*batch",
    "batch",
    "batch",
    "3*batch",
  ]);
  const run = await openModel(serializeModel(model), { runtime: ort });
  const { y } = (await run({ pairs: tf.ones([4, 3]), x: tf.ones([2, 3]) } as never)) as never as {
    y: { data: Float32Array };
  };
  expect([...y.data]).toEqual([3, 3, 3, 3, 3, 3]);
  await run.dispose();
  const lone = () => trace(({ x }: { x: tf.Tensor }) => x, { x: { dtype: "float32", shape: ["2*batch"] } });
  expect(lone).toThrow(/no input has "batch" for a size, which "2\*batch" is a multiple of/);
});

test("an output that is a constant of a symbolic size", async () => {
  const fn = ({ x }: { x: tf.Tensor }) => ({
    zeros: tf.zerosLike(x),
    positions: tf.range(0, x.shape[0]!, 1, "int32"),
    two: tf.scalar(2),
  });
  const f = await compile(fn, { x: { dtype: "float32", shape: ["batch", 3] } }, { runtime: ort });
  for (const batch of [1, 4]) {
    const { zeros, positions, two } = await f({ x: tf.ones([batch, 3]) });
    expect([zeros.shape, [...(zeros.data as Float32Array)]]).toEqual([[batch, 3], new Array(3 * batch).fill(0)]);
    expect([...(positions.data as Int32Array)]).toEqual(Array.from({ length: batch }, (_, i) => i));
    expect([...(two.data as Float32Array)]).toEqual([2]);
  }
  await f.dispose();
});
