import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { composeLoop, openModel, serializeModel, trace } from "../src";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const float = (...shape: (number | string)[]) => ({ dtype: "float32", shape }) as const;

/** x₀ = input, xᵢ₊₁ = tanh(W · xᵢ) + i, all of them kept; a state of fixed and one of growing size. */
function build(weight: tf.Tensor2D, trips: number) {
  const before = trace(({ x }: { x: tf.Tensor }) => ({ initial: { x: tf.mul(x, 1), all: tf.expandDims(x, 1) } }), {
    x: float("batch", 3),
  });
  const body = trace(
    ({ state, step, scale }: { state: { x: tf.Tensor; all: tf.Tensor }; step: tf.Tensor; scale: tf.Tensor }) => {
      const x = tf.add(tf.tanh(tf.mul(tf.matMul(state.x as tf.Tensor2D, weight), scale)), tf.cast(step, "float32"));
      return { state: { x, all: tf.concat([state.all, tf.expandDims(x, 1)], 1) } };
    },
    {
      state: { x: float("batch", 3), all: float("batch", "done", 3) },
      step: { dtype: "int32", shape: [1] },
      scale: float(),
    } as const,
    { weights: { weight } },
  );
  const after = trace(
    ({ final, scale }: { final: { all: tf.Tensor }; scale: tf.Tensor }) => ({ y: tf.mul(final.all, scale) }),
    {
      final: { all: float("batch", "done", 3) },
      scale: float(),
    } as const,
  );
  return composeLoop("repeat", { before, body, after, trips });
}

test.each([1, 2, 5])("a loop of %i steps runs inside the runtime, for any batch", async (trips) => {
  const weight = tf.tensor2d([0.5, -1, 0.25, 1, 0.1, -0.3, 0.7, 0.2, -0.6], [3, 3]);
  const model = build(weight, trips);
  expect(model.inputs.map(({ name }) => name)).toEqual(["x", "scale"]);
  const run = await openModel(serializeModel(model), { runtime: ort });
  for (const batch of [1, 4]) {
    const data = Float32Array.from({ length: batch * 3 }, (_, i) => Math.sin(i));
    const { y } = (await run({
      x: { dtype: "float32", shape: [batch, 3], data },
      scale: { dtype: "float32", shape: [], data: Float32Array.of(0.8) },
    })) as unknown as { y: { shape: number[]; data: Float32Array } };
    const expected = tf.tidy(() => {
      let x: tf.Tensor = tf.tensor2d(data, [batch, 3]);
      const all = [x];
      for (let step = 0; step < trips; step++) {
        x = tf.add(tf.tanh(tf.mul(tf.matMul(x as tf.Tensor2D, weight), 0.8)), step);
        all.push(x);
      }
      return tf.mul(tf.stack(all, 1), 0.8).dataSync();
    });
    expect(y.shape).toEqual([batch, trips + 1, 3]);
    for (const [i, value] of expected.entries()) expect(Math.abs(y.data[i]! - value)).toBeLessThan(1e-5);
  }
  await run.dispose();
  weight.dispose();
});

test("what before fixes is there at every step and after the last", async () => {
  const before = trace(
    ({ x }: { x: tf.Tensor }) => ({ initial: { sum: tf.mul(x, 0) }, fixed: { double: tf.mul(x, 2) } }),
    {
      x: float("batch"),
    },
  );
  const body = trace(
    ({ state, fixed }: { state: { sum: tf.Tensor }; fixed: { double: tf.Tensor } }) => ({
      state: { sum: tf.add(state.sum, fixed.double) },
    }),
    { state: { sum: float("batch") }, fixed: { double: float("batch") } } as const,
  );
  const after = trace(
    ({ final, fixed }: { final: { sum: tf.Tensor }; fixed: { double: tf.Tensor } }) => ({
      y: tf.sub(final.sum, fixed.double),
    }),
    { final: { sum: float("batch") }, fixed: { double: float("batch") } } as const,
  );
  const run = await openModel(serializeModel(composeLoop("fixed", { before, body, after, trips: 4 })), {
    runtime: ort,
  });
  const x = { dtype: "float32" as const, shape: [3], data: Float32Array.of(1, -2, 0.5) };
  const { y } = (await run({ x })) as unknown as { y: { data: Float32Array } };
  expect([...y.data]).toEqual([6, -12, 3]); // 4 · 2x - 2x, exact
  await run.dispose();
  const without = {
    before: trace(({ x }: { x: tf.Tensor }) => ({ initial: { sum: tf.neg(x) } }), { x: float("batch") }),
  };
  expect(() => composeLoop("bad", { ...without, body, after, trips: 1 })).toThrow(
    /body takes fixed\/double, which before/,
  );
});

test("parts that do not fit are refused by the names that differ", () => {
  const input = { x: float(2) } as const;
  const before = trace(({ x }: { x: tf.Tensor }) => ({ initial: { x: tf.neg(x) } }), input);
  const body = trace(({ state }: { state: { y: tf.Tensor } }) => ({ state: { y: tf.neg(state.y) } }), {
    state: { y: float(2) },
  } as const);
  const after = trace(({ final }: { final: { y: tf.Tensor } }) => ({ y: tf.neg(final.y) }), {
    final: { y: float(2) },
  } as const);
  expect(() => composeLoop("bad", { before, body, after, trips: 2 })).toThrow(
    /first state of before is x, the body's is y/,
  );
  expect(() => build(tf.eye(3), 0)).toThrow(/0 trips/);
});
