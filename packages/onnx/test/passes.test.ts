import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, type OnnxModel, trace } from "../src";
import { within } from "./within";

// A few roundings of float32; both engines add in their own order.
const TOLERANCE = 2e-5;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const operators = ({ graph }: OnnxModel): string[] => graph.nodes.map(({ op }) => op);
const traced = (fn: (x: tf.Tensor) => tf.Tensor | tf.Tensor[], shape: readonly (number | string)[]): string[] =>
  operators(trace(({ x }: { x: tf.Tensor }) => fn(x), { x: { dtype: "float32", shape } }));

const folded: readonly (readonly [string, (x: tf.Tensor) => tf.Tensor | tf.Tensor[], string[]])[] = [
  ["transpositions that cancel", (x) => tf.transpose(tf.transpose(x, [2, 0, 1]), [1, 2, 0]), []],
  ["two transpositions", (x) => tf.transpose(tf.transpose(x, [2, 0, 1]), [2, 0, 1]), ["Transpose"]],
  ["reshapes in a row", (x) => tf.reshape(tf.reshape(tf.expandDims(x, 1), [6, 4]), [24]), ["Reshape"]],
  ["a reshape there and back", (x) => tf.reshape(tf.reshape(x, [24]), [2, 3, 4]), []],
  ["a transposition of sizes of 1", (x) => tf.transpose(tf.expandDims(x, 3), [0, 3, 1, 2]), ["Reshape"]],
  ["neutral numbers", (x) => tf.sub(tf.div(tf.mul(tf.add(x, 0), 1), 1), 0), []],
  ["factors in a row", (x) => tf.mul(tf.mul(tf.mul(x, 2), 3), 0.5), ["Mul"]],
  ["arithmetic on numbers", (x) => tf.add(x, tf.mul(tf.add(tf.scalar(1), 2), 3)), ["Add"]],
  ["the same thing twice", (x) => [tf.exp(tf.neg(x)), tf.sqrt(tf.exp(tf.neg(x)))], ["Neg", "Exp", "Sqrt"]],
  ["what nobody uses", (x) => [tf.exp(x), tf.log(x)].slice(0, 1), ["Exp"]],
  ["filled tensors that broadcast", (x) => tf.mul(x, tf.fill([2, 3, 4], 2)), ["Mul"]],
  ["copies that broadcast", (x) => tf.add(x, tf.tile(tf.sum(x, 0, true), [2, 1, 1])), ["ReduceSum", "Add"]],
  ["casts to the same type", (x) => tf.cast(tf.cast(x, "float32"), "float32"), []],
];
test.each(folded)("%s: as few nodes as possible, with the eager values", async (_, fn, expected) => {
  expect(traced(fn, [2, 3, 4])).toEqual(expected);
  const list = (x: tf.Tensor): tf.Tensor[] => [fn(x)].flat();
  const x = tf.randomUniform([2, 3, 4], 0.5, 2, "float32", 1);
  const f = await compile(({ x }: { x: tf.Tensor }) => list(x), { x }, { runtime: ort });
  const results = await f({ x });
  for (const [i, eager] of list(x).entries()) {
    expect(results[i]!.shape).toEqual(eager.shape);
    expectClose("values", results[i]!.data as Float32Array, eager.dataSync(), within(TOLERANCE));
  }
  await f.dispose();
});

test("a weight kept as [out, in] is read transposed, not transposed", () => {
  const weight = tf.ones([5, 4]);
  expect(traced((x) => tf.matMul(x, weight, false, true), ["n", 4])).toEqual(["Gemm"]);
  const gradient = (x: tf.Tensor) => tf.grad((v: tf.Tensor) => tf.sum(tf.matMul(v, weight, false, true)))(x);
  expect(traced(gradient, ["n", 4])).not.toContain("Transpose");
});

test("sizes known only at run time are read once", () => {
  const ops = traced((x) => tf.add(tf.div(tf.sum(x), x.shape[0]!), tf.mean(tf.sum(x, 1))), ["n", 4]);
  expect(ops.filter((op) => op === "Shape").length).toBe(1);
});

describe("norms", () => {
  const epsilon = 1e-5;
  const rms = (x: tf.Tensor, weight: tf.Tensor) =>
    tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon))), weight);
  const layer = (x: tf.Tensor, weight: tf.Tensor) => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    return rms(centred, weight);
  };

  test.each([
    ["root-mean-square", rms],
    ["layer", layer],
  ])("a %s norm has the form that ONNX Runtime knows, and the eager values", async (_, norm) => {
    const weight = tf.randomUniform([16], 0.5, 2, "float32", 1);
    const x = tf.randomNormal([5, 16], 1, 2, "float32", 2);
    const eager = norm(x, weight).dataSync();
    const captured = await compile((x: tf.Tensor) => norm(x, weight), x, { runtime: ort });
    const given = await compile(({ x, weight }) => norm(x, weight), { x, weight }, { runtime: ort });
    expect(operators(captured.model).slice(-6)).toEqual(["Pow", "ReduceMean", "Add", "Sqrt", "Div", "Mul"]);
    expectClose("values", (await captured(x)).data as Float32Array, eager, within(TOLERANCE));
    expectClose("values", (await given({ x, weight })).data as Float32Array, eager, within(TOLERANCE));
    await Promise.all([captured.dispose(), given.dispose()]);
  });
});
