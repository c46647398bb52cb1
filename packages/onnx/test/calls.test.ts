import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, openModel, serializeModel, TensorARError, type TensorData } from "../src";
import { within } from "./within";

// A few roundings of float32; both engines add in their own order.
const TOLERANCE = 2e-5;

beforeAll(async () => {
  await tf.setBackend("cpu");
  web.env.wasm.numThreads = 1;
});

const data = (shape: readonly number[], values: ArrayLike<number>): TensorData => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});
const values = (tensor: unknown): number[] => Array.from((tensor as TensorData).data as Float32Array);

describe("arguments", () => {
  const sum = ({ x, n }: { x: tf.Tensor; n: tf.Tensor }) => tf.add(tf.mul(x, 2), tf.cast(n, "float32"));
  const specs = { x: { dtype: "float32", shape: ["batch", 2] }, n: { dtype: "int32", shape: [] } } as const;
  const n: TensorData = { dtype: "int32", shape: [], data: Int32Array.of(1) };
  const x = data([1, 2], [3, 4]);

  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ["a missing input", { x }, /input "n" is missing.*"x"/],
    ["no inputs", {}, /input "x" is missing.*nothing/],
    ["an unknown input", { x, n, extra: n }, /"extra" is no input.*"x", "n"/],
    ["a wrong type", { x, n: data([], [1]) }, /input "n" is float32 \[\].*int32 \[\]/],
    ["a wrong size", { x: data([1, 3], [1, 2, 3]), n }, /input "x" is float32 \[1, 3\].*\[batch, 2\]/],
    ["a wrong rank", { x: data([2], [1, 2]), n }, /input "x" is float32 \[2\].*\[batch, 2\]/],
    ["too little data", { x: data([2, 2], [1, 2, 3]), n }, /input "x" of shape \[2, 2\] holds 3 elements; 4/],
    ["a number", { x, n: 1 }, /"n" is of type number/],
    ["null", { x, n: null }, /"n" is null/],
  ];

  test.each(wrong)("%s is refused by name, and the next call runs", async (_, inputs, message) => {
    const f = await compile(sum, specs, { runtime: ort });
    const error: unknown = await f(inputs as never).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TensorARError);
    expect((error as Error).message).toMatch(message);
    expect(values(await f({ x, n }))).toEqual([7, 9]);
    await f.dispose();
  });

  test("a disposed function refuses calls", async () => {
    const f = await compile(sum, specs, { runtime: ort });
    await f.dispose();
    await f.dispose();
    await expect(f({ x, n })).rejects.toThrow(/disposed/);
  });

  test("what is no runtime, no model or no provider is refused", async () => {
    await expect(compile(sum, specs, { runtime: {} as never })).rejects.toThrow(/"runtime".*import \* as ort/);
    await expect(openModel(Uint8Array.of(1, 2, 3), { runtime: ort })).rejects.toThrow(/can't open the model/);
    await expect(compile(sum, specs, { runtime: ort, providers: ["nowhere"] })).rejects.toThrow(/on nowhere/);
  });

  test("tensors given to a call stay the caller's", async () => {
    const f = await compile(sum, specs, { runtime: ort });
    const tensor = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const before = tf.memory().numTensors;
    expect(values(await f({ x: tensor, n }))).toEqual([3, 5, 7, 9]);
    expect(tensor.isDisposed).toBe(false);
    expect(tf.memory().numTensors).toBe(before);
    await f.dispose();
  });
});

test("nested records and arrays keep their keys and order", async () => {
  const f = await compile(
    ({ a, list }) => ({
      sums: { "layers.0": tf.add(a.b, list[0]!), c: [tf.add(list[0]!, list[1]!)] },
      list: list.map((x) => tf.neg(x)),
    }),
    {
      a: { b: { dtype: "float32", shape: [1] } },
      list: [
        { dtype: "float32", shape: [1] },
        { dtype: "float32", shape: [1] },
      ],
    },
    { runtime: ort },
  );
  expect(f.inputs.map(({ name }) => name)).toEqual(["a/b", "list/0", "list/1"]);
  expect(f.outputs.map(({ name }) => name)).toEqual(["sums/layers.0", "sums/c/0", "list.next/0", "list.next/1"]);
  const inputs = { a: { b: data([1], [1]) }, list: [data([1], [10]), data([1], [100])] as const };
  const check = (result: unknown) => {
    const { sums, list } = result as { sums: Record<string, unknown>; list: unknown[] };
    expect(Object.keys(sums)).toEqual(["layers.0", "c"]);
    expect(values(sums["layers.0"])).toEqual([11]);
    expect(values((sums.c as unknown[])[0])).toEqual([110]);
    expect(list.map(values)).toEqual([[-10], [-100]]);
  };
  check(await f(inputs));
  const opened = await openModel(serializeModel(f.model), { runtime: ort });
  check(await opened(inputs as never));
  await Promise.all([f.dispose(), opened.dispose()]);
});

test("a single tensor goes in and out bare; inputs may come back unchanged", async () => {
  const f = await compile((x: tf.Tensor) => tf.neg(x), { dtype: "float32", shape: ["n"] }, { runtime: ort });
  expect(values(await f(data([3], [1, 2, 3])))).toEqual([-1, -2, -3]);
  const same = await compile(
    ({ x }) => ({ x, twice: [x, x] }),
    { x: { dtype: "float32", shape: [2] } },
    { runtime: ort },
  );
  const { x, twice } = await same({ x: data([2], [5, 6]) });
  expect([x, ...twice].map(values)).toEqual([
    [5, 6],
    [5, 6],
    [5, 6],
  ]);
  await Promise.all([f.dispose(), same.dispose()]);
});

describe.each([
  ["onnxruntime-node", ort],
  ["onnxruntime-web (wasm)", web],
])("state on %s", (name, runtime) => {
  const options = name === "onnxruntime-node" ? { runtime } : { runtime, providers: ["wasm"] };
  const count = { total: { dtype: "float32", shape: [2] }, by: { dtype: "float32", shape: [2] } } as const;
  const counter = ({ total, by }: { total: tf.Tensor; by: tf.Tensor }) => ({
    total: tf.add(total, by),
    last: tf.mul(total, 1),
  });

  test("outputs feed the next call; setState starts anew; getState copies", async () => {
    const f = await compile(counter, count, { ...options, state: ["total"] });
    const by = data([2], [1, 10]);
    await expect(f({ by })).rejects.toThrow(/state "total" has no value.*setState/);
    const start = data([2], [0, 0]);
    await f.setState({ total: start });
    const seen = [];
    for (let i = 0; i < 4; i++) seen.push(await f({ by }));
    expect(seen.map(({ last }) => values(last))).toEqual([
      [0, 0],
      [1, 10],
      [2, 20],
      [3, 30],
    ]);
    const { total } = await f.getState();
    expect(values(total)).toEqual([4, 40]);
    await f({ by });
    expect(values(total)).toEqual([4, 40]);
    expect(values(start)).toEqual([0, 0]);
    await f.setState({ total: data([2], [7, 7]) });
    expect(values((await f({ by })).last)).toEqual([7, 7]);
    await f.dispose();
  });

  test("calls that overlap run one after the other", async () => {
    const f = await compile(counter, count, { ...options, state: ["total"] });
    await f.setState({ total: data([2], [0, 0]) });
    const results = await Promise.all([1, 2, 3].map((step) => f({ by: data([2], [step, 0]) })));
    expect(results.map(({ last }) => values(last)[0])).toEqual([0, 1, 3]);
    await f.dispose();
  });

  test("state that doesn't come back, or doesn't go in, is refused", async () => {
    const compiled = (fn: (xs: { total: tf.Tensor; by: tf.Tensor }) => object, state: string[]) =>
      compile(fn as never, count, { ...options, state });
    await expect(compiled(counter, ["none"])).rejects.toThrow(/"none" is no input.*"total", "by"/);
    await expect(compiled(counter, ["by"])).rejects.toThrow(/"by" is an input but no output/);
    const grown = ({ total }: { total: tf.Tensor }) => ({ total: { a: total } });
    await expect(compiled(grown, ["total"])).rejects.toThrow(/"total" is an input but no output/);
  });
});

describe("training", () => {
  interface Params {
    readonly layers: readonly [tf.Tensor, tf.Tensor];
    readonly bias: tf.Tensor;
  }
  const specs = {
    params: {
      layers: [
        { dtype: "float32", shape: [6, 8] },
        { dtype: "float32", shape: [8, 3] },
      ],
      bias: { dtype: "float32", shape: [8] },
    },
    moments: {
      layers: [
        { dtype: "float32", shape: [6, 8] },
        { dtype: "float32", shape: [8, 3] },
      ],
      bias: { dtype: "float32", shape: [8] },
    },
    x: { dtype: "float32", shape: ["batch", 6] },
    classes: { dtype: "int32", shape: ["batch"] },
  } as const;

  const loss = ([first, second, bias]: tf.Tensor[], x: tf.Tensor, classes: tf.Tensor): tf.Scalar => {
    const hidden = tf.tanh(tf.add(tf.matMul(x, first!), bias!)); // [B, 8]
    const logits = tf.matMul(hidden, second!); // [B, 3]
    const picked = tf.mul(tf.logSoftmax(logits), tf.oneHot(tf.cast(classes, "int32"), 3));
    return tf.neg(tf.mean(tf.sum(picked, 1)));
  };
  const list = ({ layers, bias }: Params): tf.Tensor[] => [...layers, bias];
  const nest = ([a, b, bias]: tf.Tensor[]): Params => ({ layers: [a!, b!], bias: bias! });
  type Batch = { params: Params; moments: Params; x: tf.Tensor; classes: tf.Tensor };
  const gradients = ({ params, x, classes }: Pick<Batch, "params" | "x" | "classes">) =>
    tf.valueAndGrads((...ps: tf.Tensor[]) => loss(ps, x, classes))(list(params));
  /** Gradient descent with momentum. */
  const step = ({ params, moments, x, classes }: Batch) => {
    const { value, grads } = gradients({ params, x, classes });
    const next = list(moments).map((moment, i) => tf.add(tf.mul(moment, 0.9), grads[i]!));
    const moved = list(params).map((param, i) => tf.sub(param, tf.mul(next[i]!, 0.2)));
    return { params: nest(moved), moments: nest(next), loss: value };
  };
  const start = (): Pick<Batch, "params" | "moments"> => {
    const shapes = [...specs.params.layers, specs.params.bias].map(({ shape }) => [...shape]);
    return {
      params: nest(shapes.map((shape, i) => tf.randomNormal(shape, 0, 0.5, "float32", i + 1))),
      moments: nest(shapes.map((shape) => tf.zeros(shape))),
    };
  };
  const batchOf = (size: number, seed: number) => ({
    x: tf.randomNormal([size, 6], 0, 1, "float32", seed),
    classes: tf.randomUniform([size], 0, 3, "int32", seed),
  });

  test("valueAndGrads traced is valueAndGrads eager, at several batch sizes", async () => {
    const { moments: _, ...inputs } = specs;
    const f = await compile(gradients, inputs, { runtime: ort });
    const { params } = start();
    for (const size of [1, 4, 9]) {
      const batch = batchOf(size, size);
      const { value, grads } = await f({ params, ...batch });
      const eager = gradients({ params, ...batch });
      expectClose("loss", values(value), eager.value.dataSync(), within(TOLERANCE));
      for (const [i, gradient] of eager.grads.entries()) {
        expect(grads[i]!.shape).toEqual(gradient.shape);
        expectClose(`gradient ${i}`, values(grads[i]), gradient.dataSync(), within(TOLERANCE));
      }
    }
    await f.dispose();
  });

  test("a compiled loop with its state in the runtime follows the eager loop, at changing batch sizes", async () => {
    const f = await compile(step, specs, { runtime: ort, state: ["params", "moments"] });
    let { params, moments } = start();
    await f.setState({ params, moments });
    const losses: number[] = [];
    for (let i = 0; i < 8; i++) {
      const batch = batchOf(5 + (i % 3), 50);
      const result = await f(batch);
      const eager = step({ params, moments, ...batch });
      ({ params, moments } = eager);
      losses.push(eager.loss.dataSync()[0]!);
      expectClose(`loss of step ${i}`, values(result.loss), eager.loss.dataSync(), within(TOLERANCE));
    }
    expect(losses.at(-1)).toBeLessThan(0.8 * losses[0]!); // it learns, so the states differ from the first
    const state = (await f.getState()) as unknown as { params: { layers: TensorData[]; bias: TensorData } };
    for (const [i, actual] of [...state.params.layers, state.params.bias].entries())
      expectClose(`parameter ${i}`, values(actual), list(params)[i]!.dataSync(), within(10 * TOLERANCE)); // 8 steps' roundings
    await f.dispose();
  });
});

test("200 calls and 40 compilations leave no tensors and no memory behind", async () => {
  const SIZE = 1 << 18; // 1 MiB a tensor
  const grow = ({ state, x }: { state: tf.Tensor; x: tf.Tensor }) => ({ state: tf.add(state, x), y: tf.mul(x, 2) });
  const specs = { state: { dtype: "float32", shape: [SIZE] }, x: { dtype: "float32", shape: [SIZE] } } as const;
  const x = tf.ones([SIZE]);
  const round = async (compilations: number, calls: number): Promise<void> => {
    for (let i = 0; i < compilations; i++) {
      const weight = tf.fill([SIZE], i);
      const f = await compile(
        (xs: { state: tf.Tensor; x: tf.Tensor }) => grow({ ...xs, x: tf.add(xs.x, weight) }),
        specs,
        {
          runtime: ort,
          state: ["state"],
        },
      );
      await f.setState({ state: x });
      for (let call = 0; call < calls; call++) await f({ x });
      await f.dispose();
      weight.dispose();
    }
  };
  await round(4, 20); // pools and compiled code settle
  const [tensors, memory] = [tf.memory().numTensors, process.memoryUsage().rss];
  await round(1, 200);
  await round(39, 1);
  expect(tf.memory().numTensors).toBe(tensors);
  // Kept results would be 200 MiB, kept models 39 MiB at least, each with as much again for its state.
  expect((process.memoryUsage().rss - memory) / 2 ** 20).toBeLessThan(100);
  x.dispose();
});

describe("tensors whose array is not that of their type", () => {
  const specs = { x: { dtype: "float32", shape: [2] } } as const;
  const half = ({ x }: { x: tf.Tensor }) => tf.div(x, 2);

  test.each(["int32", "bool"] as const)(
    "a tensor cast from %s to float32 is fed and kept as state as float32",
    async (dtype) => {
      const cast = tf.cast(tf.tensor1d([1, 0], dtype), "float32");
      expect(cast.dataSync()).not.toBeInstanceOf(Float32Array); // what tfjs leaves as it was
      const f = await compile(half, specs, { runtime: ort });
      expect(values(await f({ x: cast }))).toEqual([0.5, 0]);
      expect(values(await f({ x: { dtype: "float32", shape: [2], data: cast.dataSync() } }))).toEqual([0.5, 0]);
      await f.dispose();
      const counter = await compile(({ x }) => ({ x: tf.add(x, 0.5) }), specs, { runtime: ort, state: ["x"] });
      await counter.setState({ x: cast });
      await counter({});
      const { x } = await counter.getState();
      expect(x.data).toEqual(Float32Array.of(1.5, 0.5));
      await counter.dispose();
    },
  );

  test("a captured tensor and its cast are two weights", async () => {
    const counts = tf.tensor1d([3, 5], "int32");
    const weights = { counts, scale: tf.cast(counts, "float32") };
    const both = ({ x }: { x: tf.Tensor }) => ({
      scaled: tf.mul(x, weights.scale),
      remainders: tf.mod(weights.counts, tf.scalar(2, "int32")),
    });
    const f = await compile(both, specs, { runtime: ort, weights });
    const { scaled, remainders } = await f({ x: data([2], [0.5, 1]) });
    expect(values(scaled)).toEqual([1.5, 5]);
    expect(remainders).toMatchObject({ dtype: "int32", data: Int32Array.of(1, 1) });
    await f.dispose();
  });

  test("numbers that would be cut off are refused", async () => {
    const f = await compile(
      ({ n }) => tf.add(n, tf.scalar(1, "int32")),
      { n: { dtype: "int32", shape: [1] } },
      { runtime: ort },
    );
    const fed = f({ n: { dtype: "int32", shape: [1], data: Float32Array.of(1.5) } });
    await expect(fed).rejects.toThrow('input "n" is int32 in an array of type Float32Array; give Int32Array');
    await f.dispose();
  });
});

test("undefined in place of options, inputs and models is refused by name", async () => {
  const specs = { x: { dtype: "float32", shape: [1] } } as const;
  const nothing = undefined as never;
  await expect(compile(({ x }) => x, specs, nothing)).rejects.toThrow('option "runtime"');
  await expect(openModel("decoder.onnx", nothing)).rejects.toThrow('option "runtime"');
  await expect(compile(({ x }) => x, nothing, { runtime: ort })).rejects.toThrow('"input" is of type undefined');
  expect(() => serializeModel(nothing)).toThrow("there is no model to write");
  const options = { runtime: ort, providers: undefined, threads: undefined, session: undefined, state: undefined };
  const f = await compile(({ x }) => x, specs, { ...options, weights: undefined, name: undefined, fuse: undefined });
  await expect(f(nothing)).rejects.toThrow('"input" is of type undefined');
  await f.dispose();
});
