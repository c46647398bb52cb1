import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { beforeAll, expect, test } from "vitest";
import { loop, openModel, serializeModel, type TensorData } from "../src";
import { writtenOf } from "../src/model";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const float = (...shape: (number | string)[]) => ({ dtype: "float32", shape }) as const;

/** x₀ = input, xᵢ₊₁ = tanh(W · xᵢ) + i, all of them kept; a carry of fixed and one of growing size. */
const build = (weight: tf.Tensor2D, tripCount: number) =>
  loop("repeat", {
    tripCount,
    inputs: { x: float("batch", 3) },
    carry: { x: float("batch", 3), all: float("batch", "done", 3) },
    invariants: {},
    stepInputs: { scale: float() },
    trace: { weights: { weight } },
    before({ x }) {
      const all: tf.Tensor = tf.expandDims(x, 1);
      return { carry: { x, all }, invariants: {} };
    },
    body({ carry, step, inputs }) {
      const product = tf.mul(tf.matMul(carry.x as tf.Tensor2D, weight), inputs.scale);
      const x = tf.add(tf.tanh(product), tf.cast(step, "float32"));
      return { x, all: tf.concat([carry.all, tf.expandDims(x, 1)], 1) };
    },
    after: ({ carry, inputs }) => ({ y: tf.mul(carry.all, inputs.scale) }),
  });

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

test("invariants are there at every step and after the last", async () => {
  const model = loop("invariants", {
    tripCount: 4,
    inputs: { x: float("batch") },
    carry: { sum: float("batch") },
    invariants: { double: float("batch") },
    stepInputs: {},
    before: ({ x }) => ({ carry: { sum: tf.mul(x, 0) }, invariants: { double: tf.mul(x, 2) } }),
    body: ({ carry, invariants }) => ({ sum: tf.add(carry.sum, invariants.double) }),
    after: ({ carry, invariants }) => ({ y: tf.sub(carry.sum, invariants.double) }),
  });
  const run = await openModel(serializeModel(model), { runtime: ort });
  const { y } = (await run({ x: { dtype: "float32", shape: [3], data: Float32Array.of(1, -2, 0.5) } })) as {
    y: TensorData;
  };
  expect([...y.data]).toEqual([6, -12, 3]); // 4 · 2x - 2x, exact
  await run.dispose();
});

test("a carry that no step reads is carried all the same, and inputs that nothing reads are none", async () => {
  const model = loop("unread", {
    tripCount: 3,
    inputs: { x: float(2), unread: float(2) },
    carry: { count: float(1), x: float(2) },
    invariants: {},
    stepInputs: { unused: float(2) },
    before: ({ x }) => ({ carry: { count: tf.zeros([1]), x: tf.mul(x, 1) }, invariants: {} }),
    body: ({ carry, step }) => ({ count: tf.add(carry.count, 1), x: tf.fill([2], 7).mul(tf.cast(step, "float32")) }),
    after: ({ carry }) => ({ y: tf.add(carry.x, carry.count) }),
  });
  expect(model.inputs.map(({ name }) => name)).toEqual(["x"]);
  const run = await openModel(serializeModel(model), { runtime: ort });
  const { y } = (await run({ x: { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) } })) as { y: TensorData };
  expect([...y.data]).toEqual([17, 17]); // 7 · 2 + 3
  await run.dispose();
});

/** xᵢ₊₁ = w · cos(sum of all x so far) + i, all of them kept: a few in the carry, the others committed. */
const flushing = (weight: tf.Tensor2D, tripCount: number, every: number, ownWeights: boolean) =>
  loop("flush", {
    tripCount,
    inputs: { x: float("batch", 1) },
    carry: { x: float("batch", 1), recent: float("batch", "recent") },
    invariants: {},
    committed: { all: float("batch", "held") },
    stepInputs: {},
    trace: { weights: { weight } },
    before: ({ x }) => ({
      carry: { x: tf.mul(x, 1), recent: tf.mul(x, 1) },
      invariants: {},
      committed: { all: tf.mul(x, 0) },
    }),
    body({ carry, committed, step }) {
      const sum = tf.add(tf.sum(committed!.all, 1, true), tf.sum(carry.recent, 1, true));
      const x = tf.add(tf.matMul(tf.cos(sum) as tf.Tensor2D, weight), tf.cast(step, "float32"));
      return { x, recent: tf.concat([carry.recent, x], 1) };
    },
    flush: {
      every,
      ownWeights,
      run({ carry, committed }) {
        const length = carry.recent.shape[1]!;
        return {
          committed: { all: tf.concat([committed.all, tf.slice(carry.recent, [0, 0], [-1, length - 1])], 1) },
          carry: { recent: tf.mul(carry.x, 1) },
        };
      },
    },
    after: ({ carry }) => ({ y: tf.add(carry.x, 0), last: carry.recent }),
  });

test.each([
  [1, 3, false],
  [3, 3, true],
  [7, 3, true],
  [8, 2, false],
  [5, 1, true],
])("%i steps, flushed after every %i, own weights %s, read what is committed", async (trips, every, own) => {
  const weight = tf.tensor2d([0.5], [1, 1]);
  const model = flushing(weight, trips, every, own);
  const owner = writtenOf(model)!.initializers.find(({ tensor }) => tensor.name === "weight")!.owner;
  expect(owner?.name).toBe(own ? "body" : undefined);
  weight.dispose();
  const run = await openModel(serializeModel(model), { runtime: ort });
  const x = Float32Array.of(0.5, -2);
  const { y, last } = (await run({ x: { dtype: "float32", shape: [2, 1], data: x } })) as unknown as Record<
    "y" | "last",
    { shape: number[]; data: Float32Array }
  >;
  const expected = Array.from(x, (first) => {
    let [sum, newest] = [first, first];
    for (let step = 0; step < trips; step++) {
      newest = 0.5 * Math.cos(sum) + step;
      sum += newest;
    }
    return newest;
  });
  for (const [row, value] of expected.entries()) expect(Math.abs(y.data[row]! - value)).toBeLessThan(1e-5);
  expect(last.shape).toEqual([2, 1]); // flushed after the last step too
  await run.dispose();
});

test("parts that do not fit are refused by the names that differ, and counts by their value", () => {
  const parts = {
    tripCount: 2,
    inputs: { x: float(2) },
    carry: { x: float(2) },
    invariants: {},
    committed: { all: float(2) },
    stepInputs: {},
    before: ({ x }: { x: tf.Tensor }) => ({ carry: { x: tf.neg(x) }, invariants: {}, committed: { all: tf.neg(x) } }),
    body: ({ carry }: { carry: { x: tf.Tensor } }) => ({ x: tf.neg(carry.x) }),
    after: ({ carry }: { carry: { x: tf.Tensor } }) => ({ y: tf.neg(carry.x) }),
  };
  type Committed = { committed: { all: tf.Tensor } };
  const flush = {
    every: 2,
    run: ({ committed: { all } }: Committed) => ({ committed: { all: tf.neg(all) }, carry: {} }),
  };
  /** As from JavaScript, where types are no help. */
  const build = (changes: object) => () => loop("bad", { ...parts, flush, ...changes } as never);
  expect(build({})).not.toThrow();
  const other = ({ carry }: { carry: { x: tf.Tensor } }) => ({ z: tf.neg(carry.x) });
  expect(build({ body: other })).toThrow("loop: what body returns is z; x is needed");
  const before = (given: { x: tf.Tensor }) => ({ ...parts.before(given), invariants: { f: tf.neg(given.x) } });
  expect(build({ before })).toThrow('what before returns as "invariants" is f; nothing is needed');
  const wrong = {
    every: 2,
    run: ({ committed: { all } }: Committed) => ({ committed: { b: tf.neg(all) }, carry: {} }),
  };
  expect(build({ flush: wrong })).toThrow('what flush returns as "committed" is b; all is needed');
  const unknown = {
    every: 2,
    run: ({ committed }: Committed) => ({ ...flush.run({ committed }), carry: { z: tf.neg(committed.all) } }),
  };
  expect(build({ flush: unknown })).toThrow('flush returns "z", which is no part of the carry');
  expect(build({ flush: { ...flush, every: 0 } })).toThrow("loop: 0 steps between flushes; use 1 or more");
  expect(build({ tripCount: 0 })).toThrow("loop: 0 trips; use 1 or more");
});
