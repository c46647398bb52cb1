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

/** xᵢ₊₁ = w · cos(sum of all x so far) + i, all of them kept: a few in the state, the others held. */
function settling(weight: tf.Tensor2D, trips: number, every: number, ownWeights: boolean) {
  type Named<K extends string> = Readonly<Record<K, tf.Tensor>>;
  const [one, few, many] = [float("batch", 1), float("batch", "recent"), float("batch", "held")];
  const before = trace(
    ({ x }: Named<"x">) => ({ initial: { x: tf.mul(x, 1), recent: tf.mul(x, 1) }, empty: { all: tf.mul(x, 0) } }),
    { x: one },
  );
  const body = trace(
    ({ state, held, step }: { state: Named<"x" | "recent">; held: Named<"all"> } & Named<"step">) => {
      const sum = tf.add(tf.sum(held.all, 1, true), tf.sum(state.recent, 1, true));
      const x = tf.add(tf.matMul(tf.cos(sum), weight), tf.cast(step, "float32"));
      return { state: { x, recent: tf.concat([state.recent, x], 1) } };
    },
    { state: { x: one, recent: few }, held: { all: many }, step: { dtype: "int32", shape: [1] } } as const,
    { weights: { weight } },
  );
  const part = trace(
    ({ ended, held }: { ended: Named<"x" | "recent">; held: Named<"all"> }) => {
      const length = ended.recent.shape[1]!;
      return {
        held: { all: tf.concat([held.all, tf.slice(ended.recent, [0, 0], [-1, length - 1])], 1) },
        begin: { recent: tf.mul(ended.x, 1) },
      };
    },
    { ended: { x: one, recent: few }, held: { all: many } } as const,
  );
  const after = trace(
    ({ final }: { final: Named<"x" | "recent"> }) => ({ y: tf.add(final.x, 0), last: final.recent }),
    {
      final: { x: one, recent: few },
    },
  );
  return composeLoop("settle", { before, body, after, trips, settle: { every, part, ownWeights } });
}

test.each([
  [1, 3, false],
  [3, 3, true],
  [7, 3, true],
  [8, 2, false],
  [5, 1, true],
])("%i steps, the state settled after every %i, own weights %s, read what is held", async (trips, every, own) => {
  const weight = tf.tensor2d([0.5], [1, 1]);
  const model = settling(weight, trips, every, own);
  const owner = model.written.initializers.find(({ tensor }) => tensor.name === "weight")!.owner;
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
  expect(last.shape).toEqual([2, 1]); // settled after the last step too
  await run.dispose();
});

test("what is held is refused where it does not fit", () => {
  const plain = trace(({ x }: { x: tf.Tensor }) => ({ initial: { x: tf.neg(x) }, empty: { a: tf.neg(x) } }), {
    x: float(2),
  } as const);
  const body = trace(
    ({ state, held }: { state: { x: tf.Tensor }; held: { b: tf.Tensor } }) => ({
      state: { x: tf.add(state.x, held.b) },
    }),
    { state: { x: float(2) }, held: { b: float(2) } } as const,
  );
  const after = trace(({ final }: { final: { x: tf.Tensor } }) => ({ y: tf.neg(final.x) }), {
    final: { x: float(2) },
  } as const);
  const holding = (name: string, every = 2) => ({
    every,
    part: trace(({ held }: { held: Record<string, tf.Tensor> }) => ({ held: { [name]: tf.neg(held[name]!) } }), {
      held: { [name]: float(2) },
    } as const),
  });
  const compose = (settle: Parameters<typeof composeLoop>[1]["settle"]) =>
    composeLoop("bad", { before: plain, body, after, trips: 4, ...(settle && { settle }) });
  expect(() => compose(holding("c"))).toThrow(/what before returns as "empty" is a; c is needed/);
  expect(() => compose(holding("a"))).toThrow(/body takes held\/b, which settle does not hold/);
  expect(() => compose(holding("a", 0))).toThrow(/settle every 0 steps/);
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
    /first state of before is x; y is needed/,
  );
  expect(() => build(tf.eye(3), 0)).toThrow(/0 trips/);
});
