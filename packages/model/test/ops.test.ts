import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { attention, causalMask } from "../src/attention";
import { crossEntropy } from "../src/ops/cross-entropy";
import { rmsNorm } from "../src/ops/rms-norm";
import { rope, ropeTable2d, ropeTables, ropeTables1d, spreadRopeTable } from "../src/ops/rope";
import { silu, swiglu } from "../src/ops/swiglu";
import { randomTensor } from "./random";

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

const headDim = 8;
const spread = () => {
  const table = ropeTable2d(3, headDim, 10000, 1);
  return tf.tensor2d(spreadRopeTable(table, headDim), [10, 2 * headDim]);
};
const positions = () => tf.tensor1d([0, 4, 9], "int32");
const targets = () => tf.tensor1d([0, 3, 4], "int32");

/** Rotation of each pair as a complex product, taken apart by hand: x [R, H, L, Dh]. */
function plainRope(x: tf.Tensor): tf.Tensor {
  const table = tf.tensor(ropeTable2d(3, headDim, 10000, 1), [10, headDim / 2, 2]);
  const [cos, sin] = tf.unstack(tf.gather(table, positions()), -1) as [tf.Tensor, tf.Tensor];
  const [a, b] = tf.unstack(tf.reshape(x, [...x.shape.slice(0, -1), headDim / 2, 2]), -1) as [tf.Tensor, tf.Tensor];
  const turned = tf.stack([tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))], -1);
  return tf.reshape(turned, x.shape);
}

const cases: { name: string; op: Op; plain: Op; shapes: number[][] }[] = [
  {
    name: "rmsNorm",
    op: (x, w) => rmsNorm(x as tf.Tensor2D, w as tf.Tensor1D, 1e-5),
    plain: (x, w) => tf.mul(tf.div(x!, tf.sqrt(tf.add(tf.mean(tf.square(x!), -1, true), 1e-5))), w!),
    shapes: [[5, 7], [7]],
  },
  { name: "silu", op: (x) => silu(x!), plain: (x) => tf.div(x!, tf.add(tf.exp(tf.neg(x!)), 1)), shapes: [[4, 6]] },
  {
    name: "swiglu",
    op: (gate, up) => swiglu(gate!, up!),
    plain: (gate, up) => tf.mul(tf.div(gate!, tf.add(tf.exp(tf.neg(gate!)), 1)), up!),
    shapes: [
      [4, 6],
      [4, 6],
    ],
  },
  {
    name: "rope",
    op: (x) => rope(x!, ropeTables(spread(), positions(), { heads: 0, keyHeads: 3 })),
    plain: (x) => plainRope(x!),
    shapes: [[2, 3, 3, headDim]],
  },
  {
    name: "crossEntropy",
    op: (x) => crossEntropy(x as tf.Tensor2D, targets()),
    plain: (x) => tf.neg(tf.sum(tf.mul(tf.log(tf.softmax(x!)), tf.oneHot(targets(), 5)), -1)),
    shapes: [[3, 5]],
  },
];

describe.each(cases)("$name", ({ name, op, plain, shapes }) => {
  const inputs = () => shapes.map((shape, i) => randomTensor(`${name}/${i}`, shape));
  /** Σ c · op(x) with fixed random c, so that every output counts differently. */
  const scored =
    (compute: Op) =>
    (...values: tf.Tensor[]) => {
      const output = compute(...values);
      return tf.sum(tf.mul(output, randomTensor(`${name}/score`, output.shape))).asScalar();
    };

  test("equals the plain formula, and so does its gradient by autodiff", () => {
    const tolerance = { atol: 2e-6, rtol: 2e-6 }; // float32, sums over fewer than ten terms
    expectClose("value", op(...inputs()).dataSync(), plain(...inputs()).dataSync(), tolerance);
    const actual = tf.grads(scored(op))(inputs());
    const expected = tf.grads(scored(plain))(inputs());
    for (const [i, grad] of actual.entries())
      expectClose(`grad ${i}`, grad.dataSync(), expected[i]!.dataSync(), tolerance);
  });

  test("gradient equals finite differences", () => {
    const values = inputs();
    const grads = tf.grads(scored(op))(values);
    const step = 0.02; // rounding costs 1e-7 / step, curvature step²: both near 1e-4
    for (const [i, value] of values.entries()) {
      const direction = randomTensor(`${name}/direction/${i}`, value.shape);
      const moved = (by: number) =>
        scored(op)(...values.map((each, j) => (i === j ? tf.add(each, tf.mul(direction, by)) : each))).dataSync()[0]!;
      const slope = (moved(step) - moved(-step)) / (2 * step);
      const expected = tf.sum(tf.mul(grads[i]!, direction)).dataSync()[0]!;
      expectClose(`direction ${i}`, [slope], [expected], { atol: 5e-3, rtol: 5e-3 });
    }
  });
});

test("cross-entropy stays exact where probabilities underflow", () => {
  const entropy = crossEntropy(tf.tensor2d([[200, 0, -200]]), tf.tensor1d([2], "int32"));
  expectClose("entropy", entropy.dataSync(), [400], { atol: 0, rtol: 1e-6 });
});

describe("attention", () => {
  const [R, H, Hkv, L, Dh] = [2, 4, 2, 5, 8];
  const inputs = () => ({
    queries: randomTensor("queries", [R, H, L, Dh]),
    keys: randomTensor("keys", [R, Hkv, L, Dh]),
    values: randomTensor("values", [R, Hkv, L, Dh]),
  });

  /** One query at a time in float64: softmax over positions 0 … l of the head that the query head belongs to. */
  function plainAttention(queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor): number[] {
    const [q, k, v] = [queries, keys, values].map((tensor) => tensor.bufferSync()) as [Buffer, Buffer, Buffer];
    const output: number[] = [];
    for (let r = 0; r < R; r++)
      for (let h = 0; h < H; h++)
        for (let l = 0; l < L; l++) {
          const shared = Math.floor(h / (H / Hkv));
          const scores = Array.from({ length: l + 1 }, (_, s) =>
            Math.exp(sumOver(Dh, (d) => q.get(r, h, l, d) * k.get(r, shared, s, d))),
          );
          const total = scores.reduce((a, b) => a + b);
          for (let d = 0; d < Dh; d++) {
            output.push(sumOver(l + 1, (s) => (scores[s]! / total) * v.get(r, shared, s, d)));
          }
        }
    return output;
  }

  test("equals softmax over the positions before, one query at a time", () => {
    const { queries, keys, values } = inputs();
    const own = causalMask(tf.range(0, L, 1, "int32"), { group: H / Hkv });
    const actual = attention(queries, keys, values, { own }).dataSync();
    expectClose("attention", actual, plainAttention(queries, keys, values), { atol: 2e-6, rtol: 2e-6 });
  });

  test.each([1, 2, 4])(
    "gives the last %d positions the same result over a cache, whose empty positions do not count",
    (added) => {
      const { queries, keys, values } = inputs();
      const past = L - added;
      const split = (x: tf.Tensor) => tf.split(x, [past, added], 2) as [tf.Tensor, tf.Tensor];
      const empty = randomTensor("empty", [R, Hkv, 3, Dh], 10);
      const cached = (x: tf.Tensor) => tf.concat([split(x)[0], empty], 2);
      const row = [...new Array<number>(past).fill(0), -1e9, -1e9, -1e9];
      const actual = attention(split(queries)[1], split(keys)[1], split(values)[1], {
        cache: {
          keys: cached(keys),
          values: cached(values),
          mask: tf.tensor2d(new Array(R).fill(row)),
        },
        own: causalMask(tf.range(past, L, 1, "int32"), { group: H / Hkv }),
      });
      const own = causalMask(tf.range(0, L, 1, "int32"), { group: H / Hkv });
      const expected = split(attention(queries, keys, values, { own }))[1];
      expect(actual.shape).toEqual(expected.shape);
      expectClose("attention", actual.dataSync(), expected.dataSync(), { atol: 2e-6, rtol: 2e-6 });
    },
  );

  test.each([
    { held: 2, recent: 2, masked: false },
    { held: 1, recent: 3, masked: true },
    { held: 2, recent: 1, masked: false },
    { held: 1, recent: 1, masked: true },
  ])("recent positions count as the others of the cache do: %j", ({ held, recent, masked }) => {
    const { queries, keys, values } = inputs();
    const past = held + recent;
    const parts = (x: tf.Tensor) => tf.split(x, [held, recent, L - past], 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const [oldKeys, recentKeys, newKeys] = parts(keys);
    const [oldValues, recentValues, newValues] = parts(values);
    const hidden = tf.tensor2d([0, -1e9], [R, 1]); // the second row's first recent position is not seen
    const shown = tf.concat([hidden, tf.zeros([R, recent - 1])], 1);
    const mask = masked ? tf.zeros([R, L - past]) : undefined;
    const own = causalMask(tf.range(past, L, 1, "int32"), { mask, group: H / Hkv });
    const actual = attention(parts(queries)[2], newKeys, newValues, {
      cache: {
        keys: oldKeys,
        values: oldValues,
        mask: tf.zeros([R, held]),
        recent: { keys: recentKeys, values: recentValues, mask: shown },
      },
      own,
    });
    const expected = attention(parts(queries)[2], newKeys, newValues, {
      cache: {
        keys: tf.concat([oldKeys, recentKeys], 2),
        values: tf.concat([oldValues, recentValues], 2),
        mask: tf.concat([tf.zeros([R, held]), shown], 1),
      },
      own,
    });
    expect(actual.shape).toEqual(expected.shape);
    expectClose("attention", actual.dataSync(), expected.dataSync(), { atol: 2e-6, rtol: 2e-6 });
  });
});

type Buffer = tf.TensorBuffer<tf.Rank>;

const sumOver = (count: number, term: (i: number) => number): number =>
  Array.from({ length: count }, (_, i) => term(i)).reduce((a, b) => a + b, 0);

test("rotary coefficients of any position are those of float64 sines and cosines", () => {
  const [positions, headDim, base] = [[0, 1, 127, 128, 129, 700, 16_383, 32_767], 8, 10_000];
  const { cos, sin } = ropeTables1d(tf.tensor1d(positions, "int32"), { headDim, heads: 1, keyHeads: 1, base });
  const [cosines, sines] = [cos, sin].map((table) => table.slice([1, 0, 0], [1, -1, -1]).dataSync()); // the key head's
  for (const [row, position] of positions.entries()) {
    for (let member = 0; member < headDim; member++) {
      const angle = position * Math.fround(1 / Math.fround(base ** ((2 * (member % 4)) / headDim)));
      // Two products and a sum of float32 numbers up to 1.
      expect(Math.abs(cosines![row * headDim + member]! - Math.cos(angle))).toBeLessThan(3e-7);
      expect(Math.abs(sines![row * headDim + member]! - Math.sin(angle) * (member < 4 ? -1 : 1))).toBeLessThan(3e-7);
    }
  }
});
