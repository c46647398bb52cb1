import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compile } from "../src";
import { within } from "./within";

// R rows · H query heads · K key heads · L positions · W width of a head
const [H, K, W, POSITIONS] = [4, 2, 8, 12];

/** Two products and a sum of numbers of size 1. */
const TOLERANCE = 1e-6;

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

interface Form {
  /** Where the other member of a pair is. */
  readonly partner: (column: number) => number;
  /** Column of the frequency. */
  readonly pair: (column: number) => number;
}
const neighbours: Form = { partner: (i) => i ^ 1, pair: (i) => i >> 1 };
const halves: Form = { partner: (i) => (i + W / 2) % W, pair: (i) => i % (W / 2) };

const frequency = (pair: number): number => 0.7 / (1 + pair);
const signOf = (form: Form, column: number): number => (column < form.partner(column) ? -1 : 1);
const swapMatrix = (form: Form): tf.Tensor2D =>
  tf.tensor2d(
    Array.from({ length: W * W }, (_, at) => (at % W === form.partner(Math.floor(at / W)) ? 1 : 0)),
    [W, W],
  );

/** cos and sin of all positions as constants, [POSITIONS, 2 · W], of which rows are looked up. */
function looked(form: Form, positions: tf.Tensor1D): tf.Tensor[] {
  const columns = Array.from({ length: 2 * W }, (_, i) => i);
  const rows = Array.from({ length: POSITIONS }, (_, position) =>
    columns.map((i) => {
      const angle = position * frequency(form.pair(i % W));
      return i < W ? Math.cos(angle) : signOf(form, i - W) * Math.sin(angle);
    }),
  );
  return tf.split(tf.gather(tf.tensor2d(rows), positions), 2, 1);
}

/** The same, computed from the positions. */
function computed(form: Form, positions: tf.Tensor1D): tf.Tensor[] {
  const columns = Array.from({ length: W }, (_, i) => i);
  const frequencies = tf.tensor1d(columns.map((i) => frequency(form.pair(i))));
  const angles = tf.mul(tf.expandDims(tf.cast(positions, "float32"), 1), frequencies);
  const signs = tf.tensor1d(columns.map((i) => signOf(form, i)));
  return [tf.cos(angles), tf.mul(tf.sin(angles), signs)];
}

/** The same as halves that are joined; for pairs of neighbours there is no such form. */
function joined(form: Form, positions: tf.Tensor1D): tf.Tensor[] {
  if (form === neighbours) return looked(form, positions);
  const frequencies = tf.tensor1d(Array.from({ length: W / 2 }, (_, pair) => frequency(pair)));
  const angles = tf.mul(tf.expandDims(tf.cast(positions, "float32"), 1), frequencies);
  const [cos, sin] = [tf.cos(angles), tf.sin(angles)];
  return [tf.concat([cos, cos], 1), tf.concat([tf.neg(sin), sin], 1)];
}

const factors = (...each: number[]): tf.Tensor => tf.tensor3d(each, [each.length, 1, 1]);
const scale = 1 / Math.sqrt(W);
const ofHeads = (): tf.Tensor => factors(...new Array<number>(H).fill(scale), ...new Array<number>(K).fill(1));

function rotated(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor, swap: tf.Tensor2D): tf.Tensor {
  const flat = tf.reshape(x, [-1, W]) as tf.Tensor2D;
  const swapped = tf.reshape(tf.matMul(flat, swap), [-1, ...x.shape.slice(1)]);
  return tf.add(tf.mul(x, cos), tf.mul(swapped, sin));
}

interface Inputs {
  readonly x: tf.Tensor;
  readonly positions: tf.Tensor;
}
type Fn = (inputs: Inputs) => Record<string, tf.Tensor>;

/** Compares the fused form with the eager function at several sizes and returns the operators by how often they occur. */
async function compared(fn: Fn, length: number | "positions"): Promise<Record<string, number>> {
  const specs = {
    x: { dtype: "float32", shape: ["rows", H + K, length, W] },
    positions: { dtype: "int32", shape: [length] },
  } as const;
  const form = await compile(fn, specs, { runtime: ort, fuse: "cuda" });
  const counts: Record<string, number> = {};
  for (const { op } of form.model.graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  for (const rows of [1, 3]) {
    for (const count of length === "positions" ? [1, 5] : [length]) {
      const x = tf.randomNormal([rows, H + K, count, W], 0, 1, "float32", rows);
      const positions = tf.tensor1d(
        Array.from({ length: count }, (_, i) => (7 * (i + 1)) % POSITIONS),
        "int32",
      );
      const [eager, actual] = [fn({ x, positions }), await form({ x, positions })];
      for (const [name, { data }] of Object.entries(actual as Record<string, { data: Float32Array }>))
        expectClose(`${name}, ${rows} rows, ${count} positions`, data, eager[name]!.dataSync(), within(TOLERANCE));
    }
  }
  await form.dispose();
  return counts;
}

const tables = { looked, computed, joined };
const forms = { neighbours, halves };
const cases = Object.entries(forms).flatMap(([pairs, form]) =>
  Object.entries(tables).flatMap(([made, table]) =>
    ([1, 3, "positions"] as const).map(
      (length) => [`${pairs}, tables ${made}, length ${length}`, form, table, length] as const,
    ),
  ),
);

test.each(cases)("%s: one operator for queries and one for keys", async (_, form, table, length) => {
  const fn: Fn = ({ x, positions }) => {
    const [cos, sin] = table(form, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
    const [both, values] = tf.split(x, [H + K - 1, 1], 1) as [tf.Tensor, tf.Tensor];
    const own = factors(...new Array<number>(H).fill(scale), ...new Array<number>(K - 1).fill(1));
    const turned = rotated(both, tf.mul(own, cos), tf.mul(own, sin), swapMatrix(form));
    const [queries, keys] = tf.split(turned, [H, K - 1], 1) as [tf.Tensor, tf.Tensor];
    return { queries, keys, values };
  };
  const counts = await compared(fn, length);
  expect(counts.RotaryEmbedding).toBe(2);
  expect(counts.Gemm).toBeUndefined();
  // Queries, keys and values are taken apart at once; tables that are looked up are split too.
  expect(counts.Split).toBe(table === computed || (table === joined && form === halves) ? 1 : 2);
  if (form === halves && table === joined) expect([counts.Concat, counts.Slice]).toEqual([undefined, undefined]);
});

test("heads that are joined only to be turned are turned alone", async () => {
  const fn: Fn = ({ x, positions }) => {
    const [cos, sin] = looked(halves, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
    const [q, k] = tf.split(x, [H, K], 1) as [tf.Tensor, tf.Tensor];
    const both = tf.concat([tf.exp(q), k], 1);
    const turned = rotated(both, tf.mul(ofHeads(), cos), tf.mul(ofHeads(), sin), swapMatrix(halves));
    const [queries, keys] = tf.split(turned, [H, K], 1) as [tf.Tensor, tf.Tensor];
    return { queries, keys };
  };
  const counts = await compared(fn, 1);
  expect(counts).toMatchObject({ RotaryEmbedding: 2, Split: 2 });
  expect(counts.Concat).toBeUndefined();
});

test("heads with factors of their own, or none", async () => {
  const each =
    (own: tf.Tensor | undefined): Fn =>
    ({ x, positions }) => {
      const [cos, sin] = looked(neighbours, positions as tf.Tensor1D).map((t) => (own ? tf.mul(own, t) : t)) as [
        tf.Tensor,
        tf.Tensor,
      ];
      return { turned: rotated(x, cos, sin, swapMatrix(neighbours)) };
    };
  expect(await compared(each(undefined), "positions")).toMatchObject({ RotaryEmbedding: 1 });
  expect(await compared(each(factors(1, 2, 3, 4, 5, 6)), 1)).toMatchObject({ RotaryEmbedding: 1, Mul: 1 });
});

test("two layers share the halves of the tables", async () => {
  const fn: Fn = ({ x, positions }) => {
    const [cos, sin] = looked(neighbours, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
    const [c, s, swap] = [tf.mul(ofHeads(), cos), tf.mul(ofHeads(), sin), swapMatrix(neighbours)];
    const layer = (x: tf.Tensor) => tf.concat(tf.split(rotated(x, c, s, swap), [H, K], 1).map(tf.tanh), 1);
    return { y: layer(layer(x)) };
  };
  expect(await compared(fn, 1)).toMatchObject({ RotaryEmbedding: 4, Slice: 2, Mul: 2 });
});

/** What differs from a rotation in one thing. */
const alike: readonly (readonly [string, Fn])[] = [
  [
    "sines that have one sign",
    ({ x, positions }) => {
      const [cos, sin] = looked(neighbours, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      return { y: rotated(x, cos, tf.abs(sin), swapMatrix(neighbours)) };
    },
  ],
  [
    "tables of the other pairs",
    ({ x, positions }) => {
      const [cos, sin] = looked(halves, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      return { y: rotated(x, cos, sin, swapMatrix(neighbours)) };
    },
  ],
  [
    "another permutation",
    ({ x, positions }) => {
      const [cos, sin] = looked(neighbours, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      return { y: rotated(x, cos, sin, swapMatrix({ ...neighbours, partner: (i) => (i + 1) % W })) };
    },
  ],
  [
    "halves with sines of one sign",
    ({ x, positions }) => {
      const [cos, sin] = joined(halves, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      const once = tf.split(sin, 2, 1)[1]!;
      return { y: rotated(x, cos, tf.concat([once, once], 1), swapMatrix(halves)) };
    },
  ],
  [
    "other factors on the sines",
    ({ x, positions }) => {
      const [cos, sin] = looked(neighbours, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      return { y: rotated(x, tf.mul(ofHeads(), cos), tf.mul(factors(1, 2, 3, 4, 5, 6), sin), swapMatrix(neighbours)) };
    },
  ],
  [
    "a swapped value that is returned",
    ({ x, positions }) => {
      const [cos, sin] = looked(neighbours, positions as tf.Tensor1D) as [tf.Tensor, tf.Tensor];
      const swap = swapMatrix(neighbours);
      const swapped = tf.reshape(tf.matMul(tf.reshape(x, [-1, W]) as tf.Tensor2D, swap), [-1, ...x.shape.slice(1)]);
      return { y: rotated(x, cos, sin, swap), swapped };
    },
  ],
];
test.each(alike)("%s: left", async (_, fn) => {
  expect((await compared(fn, 3)).RotaryEmbedding).toBeUndefined();
});
