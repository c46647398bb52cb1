import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import type { TensorData } from "../src";
import { cond, openModel, serializeModel, trace } from "../src";
import { writtenOf } from "../src/model";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const float = (...shape: (number | string)[]) => ({ dtype: "float32", shape }) as const;
const which = { dtype: "int32", shape: [1] } as const;

/** Rows of a long or of a short input, by `which`, then one product with a weight that both ways end in. */
function build(weight: tf.Tensor2D) {
  const thenBranch = trace(({ long }: { long: tf.Tensor }) => ({ chosen: { scale: tf.mean(long), x: tf.neg(long) } }), {
    long: float("batch", 5, 3),
  });
  const elseBranch = trace(
    ({ short, which }: { short: tf.Tensor; which: tf.Tensor }) => ({
      chosen: { x: tf.matMul(short as tf.Tensor3D, weight), scale: tf.mean(tf.cast(which, "float32")) },
    }),
    { short: float("batch", 1, 3), which },
    { weights: { weight } },
  );
  const after = trace(
    ({ chosen: { x, scale }, offset }: { chosen: { x: tf.Tensor; scale: tf.Tensor }; offset: tf.Tensor }) => ({
      y: tf.add(tf.mul(tf.matMul(x as tf.Tensor3D, weight), scale), offset),
      x: tf.mul(x, 1),
    }),
    { chosen: { x: float("batch", "positions", 3), scale: float() }, offset: float() } as const,
    { weights: { weight } },
  );
  return cond("choose", { zero: "which", thenBranch, elseBranch, after });
}

const values = (shape: number[], from: number): TensorData => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + from)),
});

test.each([0, 1, 7, -1])("which = %i runs one of the two ways, and what follows", async (chosen) => {
  const weight = tf.tensor2d([0.5, -1, 0.25, 1, 0.1, -0.3, 0.7, 0.2, -0.6], [3, 3]);
  const model = build(weight);
  expect(writtenOf(model)!.initializers.filter(({ tensor }) => tensor.name === "weight")).toHaveLength(1);
  const run = await openModel(serializeModel(model), { runtime: ort });
  for (const batch of [1, 4]) {
    const [long, short] = [values([batch, 5, 3], 1), values([batch, 1, 3], 2)];
    const outputs = (await run({
      long,
      short,
      offset: values([], 3),
      which: { dtype: "int32", shape: [1], data: Int32Array.of(chosen) },
    })) as unknown as { y: TensorData; x: TensorData };
    const expected = tf.tidy(() => {
      const tensor = ({ data, shape }: TensorData) => tf.tensor(data as Float32Array, [...shape]);
      const x = chosen === 0 ? tf.neg(tensor(long)) : tf.matMul(tensor(short) as tf.Tensor3D, weight);
      const scale = chosen === 0 ? tf.mean(tensor(long)) : tf.scalar(chosen);
      return { x, y: tf.add(tf.mul(tf.matMul(x as tf.Tensor3D, weight), scale), Math.sin(3)) };
    });
    for (const name of ["x", "y"] as const) {
      expect(outputs[name].shape).toEqual(expected[name].shape);
      const wanted = expected[name].dataSync();
      // float32 sums of three terms below 2
      for (const [i, value] of wanted.entries())
        expect(Math.abs((outputs[name].data as Float32Array)[i]! - value)).toBeLessThan(1e-6);
    }
    tf.dispose({ ...expected });
  }
  await run.dispose();
  weight.dispose();
});

test("parts that do not fit are refused by the names that differ", () => {
  const part = (name: string) =>
    trace(({ x }: { x: tf.Tensor }) => ({ chosen: { [name]: tf.neg(x) } }), { x: float(2), which } as never);
  const after = trace(({ chosen }: { chosen: { a: tf.Tensor } }) => ({ y: tf.neg(chosen.a) }), {
    chosen: { a: float(2) },
  } as const);
  const parts = { zero: "which", thenBranch: part("a"), elseBranch: part("a"), after };
  expect(cond("good", parts).inputs.map(({ name }) => name)).toEqual(["x", "which"]);
  expect(() => cond("bad", { ...parts, elseBranch: part("b") })).toThrow(
    'what elseBranch returns as "chosen" is b; a is needed',
  );
  const both = { thenBranch: part("b"), elseBranch: part("b") };
  expect(() => cond("bad", { ...parts, ...both })).toThrow('after takes "chosen/a", which the branches do not return');
  expect(() => cond("bad", { ...parts, zero: "x" })).toThrow('cond: "x" is float32 [2]; use an input int32 [1]');
});

test("weights of one name that differ are refused", () => {
  const [one, two] = [tf.tensor1d([1, 2]), tf.tensor1d([1, 3])];
  const part = (weight: tf.Tensor) =>
    trace(
      ({ x, which }: { x: tf.Tensor; which: tf.Tensor }) => ({
        chosen: { a: tf.mul(tf.mul(x, weight), tf.cast(which, "float32")) },
      }),
      { x: float(2), which },
      { weights: { weight } },
    );
  const after = trace(({ chosen }: { chosen: { a: tf.Tensor } }) => ({ y: tf.neg(chosen.a) }), {
    chosen: { a: float(2) },
  } as const);
  const compose = (other: tf.Tensor) =>
    cond("same", { zero: "which", thenBranch: part(one), elseBranch: part(other), after });
  expect(() => compose(two)).toThrow(/weight "weight".*differ/);
  compose(one);
  tf.dispose([one, two]);
});
