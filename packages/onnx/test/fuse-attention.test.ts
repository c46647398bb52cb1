import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compile } from "../src";
import { expectClose } from "./compare";

// R rows · H heads · L new slots · S cached slots · W width of a head
const [H, W] = [2, 4];

/** Sums of a dozen products of numbers of size 1, in other orders. */
const TOLERANCE = 5e-6;

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

interface Inputs extends Readonly<Record<"queries" | "keys" | "values" | "mask", tf.Tensor>> {
  /** [R, H, L, W] */
  readonly newKeys: tf.Tensor;
  readonly newValues: tf.Tensor;
}

interface Change {
  /** Added to the scores of new slots. */
  readonly own?: (positions: tf.Tensor) => tf.Tensor;
  /** Of the shares, before they are taken apart. */
  readonly shares?: (x: tf.Tensor) => tf.Tensor;
  readonly queriesOfNew?: (x: tf.Tensor) => tf.Tensor;
  readonly next?: (inputs: Inputs) => Record<string, tf.Tensor>;
}

/** As a step returns it whose cache grows. */
const grown = ({ keys, values, newKeys, newValues }: Inputs) => ({
  keys: tf.concat([keys, newKeys], 2),
  values: tf.concat([values, newValues], 2),
});

/** Attention with scores of cached and of new slots apart, and what becomes of the cache. */
function attention(
  inputs: Inputs,
  { own, shares, queriesOfNew, next = grown }: Change = {},
): Record<string, tf.Tensor> {
  const { queries, keys, values, mask, newKeys, newValues } = inputs;
  const past = tf.add(tf.matMul(queries, keys, false, true), tf.expandDims(tf.expandDims(mask, 1), 1));
  const asked = queriesOfNew ? queriesOfNew(queries) : queries;
  const fresh = tf.matMul(asked, newKeys, false, true);
  const seen = own ? tf.add(fresh, own(queries)) : fresh;
  const softmax = tf.softmax(tf.concat([past, seen], -1));
  const all = shares ? shares(softmax) : softmax;
  const [a, b] = tf.split(all, [past.shape[3]!, seen.shape[3]!], -1) as [tf.Tensor, tf.Tensor];
  return { mixed: tf.add(tf.matMul(a, values), tf.matMul(b, newValues)), ...next(inputs) };
}

/** Compares the fused form with the eager function, and returns how many products it has. */
async function products(change: Change | undefined, length: number | "new", group = 1): Promise<number> {
  const L = typeof length === "string" ? length : group * length; // heads that share keys are more rows
  const float = (...shape: (number | string)[]) => ({ dtype: "float32", shape }) as const;
  const specs = {
    ...{ queries: float("rows", H, L, W), keys: float("rows", H, "slots", W), values: float("rows", H, "slots", W) },
    ...{ mask: float("rows", "slots"), newKeys: float("rows", H, length, W), newValues: float("rows", H, length, W) },
  };
  const fn = (inputs: Inputs) => attention(inputs, change);
  const form = await compile(fn as never, specs, { runtime: ort, fuse: "cpu" });
  const random = (seed: number, ...shape: number[]) => tf.randomNormal(shape, 0, 1, "float32", seed);
  for (const [R, S] of [
    [1, 1],
    [3, 5],
  ] as const) {
    const l = typeof length === "string" ? 3 : length;
    const hidden = Array.from({ length: R * S }, (_, i) => (i % 3 === 1 ? -1e9 : 0));
    const inputs: Inputs = {
      ...{ queries: random(1, R, H, group * l, W), keys: random(2, R, H, S, W), values: random(3, R, H, S, W) },
      ...{ mask: tf.tensor2d(hidden, [R, S]), newKeys: random(4, R, H, l, W), newValues: random(5, R, H, l, W) },
    };
    const [eager, actual] = [
      fn(inputs),
      (await form(inputs as never)) as unknown as Record<string, { data: Float32Array }>,
    ];
    for (const [name, { data }] of Object.entries(actual))
      expectClose(data, eager[name]!.dataSync(), TOLERANCE, `${name}, ${R} rows, ${S} slots`);
  }
  await form.dispose();
  return form.model.graph.nodes.filter(({ op }) => op === "MatMul").length;
}

/** Slot a sees slots up to a. */
const causal = (queries: tf.Tensor): tf.Tensor => {
  const ones = tf.onesLike(tf.sum(tf.slice(queries, [0, 0, 0, 0], [1, 1, -1, 1]), [0, 1, 3])); // [L]
  const positions = tf.cumsum(ones);
  return tf.mul(tf.cast(tf.greater(tf.expandDims(positions, 0), tf.expandDims(positions, 1)), "float32"), -1e9);
};

test.each<[string, Change | undefined, number | "new", number]>([
  ["one new slot", undefined, 1, 1],
  ["one new slot, two heads with the same keys", undefined, 1, 2],
  ["several new slots", { own: causal }, 3, 1],
  ["any number of new slots", { own: causal }, "new", 1],
])("%s: two products over what is joined anyway", async (_, change, length, group) => {
  expect(await products(change, length, group)).toBe(2);
});

test("a cache with more axes in front, as a loop keeps it", async () => {
  const flat = (x: tf.Tensor) => tf.reshape(x, [-1, ...x.shape.slice(2)]);
  const apart = (x: tf.Tensor) => tf.reshape(x, [-1, 2, ...x.shape.slice(1)]);
  const fn = ({ mask, ...given }: Inputs) => {
    const { queries, keys, values, newKeys, newValues } = given;
    const [rows, fresh] = [flat(newKeys), flat(newValues)];
    const next = () => ({
      keys: tf.concat([keys, apart(rows)], 3),
      values: tf.concat([values, apart(fresh)], 3),
    });
    const flattened = {
      queries: flat(queries),
      keys: flat(keys),
      values: flat(values),
      newKeys: rows,
      newValues: fresh,
    };
    return attention({ mask, ...flattened }, { next });
  };
  const float = (...shape: (number | string)[]) => ({ dtype: "float32", shape }) as const;
  const row = float("batch", 2, H, 1, W);
  const cache = { keys: float("batch", 2, H, "slots", W), values: float("batch", 2, H, "slots", W) };
  const specs = { ...cache, mask: float(1, "slots"), queries: row, newKeys: row, newValues: row };
  const form = await compile(fn as never, specs, { runtime: ort, fuse: "cpu" });
  expect(form.model.graph.nodes.filter(({ op }) => op === "MatMul")).toHaveLength(2);
  const random = (seed: number, ...shape: number[]) => tf.randomNormal(shape, 0, 1, "float32", seed);
  const inputs: Inputs = {
    ...{ keys: random(2, 3, 2, H, 5, W), values: random(3, 3, 2, H, 5, W), mask: tf.tensor2d([[0, -1e9, 0, 0, -1e9]]) },
    ...{ queries: random(1, 3, 2, H, 1, W), newKeys: random(4, 3, 2, H, 1, W), newValues: random(5, 3, 2, H, 1, W) },
  };
  const eager = fn(inputs);
  const actual = (await form(inputs as never)) as unknown as Record<string, { data: Float32Array }>;
  for (const [name, { data }] of Object.entries(actual)) expectClose(data, eager[name]!.dataSync(), TOLERANCE, name);
  await form.dispose();
});

test.each<[string, Change]>([
  ["only the new rows are returned", { next: ({ newKeys, newValues }) => ({ keys: newKeys, values: newValues }) }],
  [
    "keys are joined with others",
    { next: (inputs) => ({ ...grown(inputs), keys: tf.concat([inputs.keys, tf.exp(inputs.newKeys)], 2) }) },
  ],
  [
    "values are joined along another axis",
    { next: (inputs) => ({ ...grown(inputs), values: tf.concat([inputs.values, inputs.values], 3) }) },
  ],
  [
    "new slots come first",
    { next: (inputs) => ({ ...grown(inputs), keys: tf.concat([inputs.newKeys, inputs.keys], 2) }) },
  ],
  ["new slots are asked something else", { queriesOfNew: (x) => tf.mul(x, 2) }],
  ["shares are changed", { shares: tf.sqrt }],
])("where %s: four products", async (_, change) => {
  expect(await products(change, 1)).toBe(4);
});
