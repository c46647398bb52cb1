import type { TensorSpec } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { float32, int32, type Program, runAnyProgram, runProgram, toHost, toTensors } from "../src";

beforeAll(async () => void (await tf.setBackend("cpu")));

type Specs = { readonly x: TensorSpec; readonly more: readonly TensorSpec[] };
const weight = { w: tf.tensor2d([[2], [3]]) };
const program: Program<Specs, { readonly y: tf.Tensor; readonly sums: readonly tf.Tensor[] }> = {
  name: "example",
  inputs: { x: float32("batch", 2), more: [int32("batch"), int32("batch")] },
  weights: weight,
  run: ({ x, more }) => ({
    y: tf.matMul(x as tf.Tensor2D, weight.w), // [B, 1]
    sums: more.map((each) => tf.sum(each)),
  }),
};
const ints = (...data: number[]) => ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
const inputs = {
  x: { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 10, 2, 20) } as const,
  more: [ints(1, 2), ints(3, 4)],
};

test("runs on host tensors, nested as its specs and its outputs, and leaves no tensor behind", () => {
  const before = tf.memory().numTensors;
  const { y, sums } = runProgram(program, inputs);
  expect(y).toEqual({ dtype: "float32", shape: [2, 1], data: Float32Array.of(32, 64) });
  expect(sums.map(({ dtype, data }) => [dtype, data[0]])).toEqual([
    ["int32", 3],
    ["int32", 7],
  ]);
  expect(runAnyProgram(program, inputs)).toEqual({ y, sums });
  expect(tf.memory().numTensors).toBe(before);
});

test("a program that throws leaves no tensor behind", () => {
  const before = tf.memory().numTensors;
  const wrong = { ...inputs, x: ints(1) };
  expect(() => runProgram(program, wrong)).toThrow(/matMul/);
  expect(tf.memory().numTensors).toBe(before);
});

test("tensors to the host and back: whole numbers that tfjs holds as float32 come as float32", () => {
  const cast = tf.cast(tf.tensor1d([1, 2], "int32"), "float32");
  const host = toHost({ cast, flag: tf.tensor1d([true], "bool") });
  expect(host).toEqual({
    cast: { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) },
    flag: { dtype: "bool", shape: [1], data: Uint8Array.of(1) },
  });
  const { flag } = toTensors(host) as { flag: tf.Tensor };
  expect(flag.dtype).toBe("bool");
  expect(() => toTensors({ dtype: "int64", shape: [1], data: BigInt64Array.of(1n) })).toThrow(
    "tfjs holds float32, int32 and bool tensors, got int64; convert it first",
  );
});
