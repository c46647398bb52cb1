import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { dropoutDraws, dropoutOf } from "../src/tasks/dropout";

const SIZES = { sites: 3, rows: 1000, width: 64 };
const RATE = 0.1;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** The factors of a site's entries. */
function factors(site: number, step: number, seed = 7): Float32Array {
  return tf.tidy(() => {
    const { dropoutRows, dropoutColumns } = dropoutDraws(SIZES, seed, step);
    const rows = tf.tensor(dropoutRows.data as Float32Array, [...dropoutRows.shape]);
    const columns = tf.tensor(dropoutColumns.data as Float32Array, [...dropoutColumns.shape]);
    return dropoutOf(
      RATE,
      rows,
      columns,
    )(tf.ones([SIZES.rows, SIZES.width]), site)
      .dataSync<"float32">()
      .slice();
  });
}

const dropped = (values: ArrayLike<number>): number[] => Array.from(values, (each) => (each === 0 ? 1 : 0));
const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;

test("entries are dropped at the rate, and the others keep the mean", () => {
  const values = factors(0, 0);
  const kept = Math.fround(1 / (1 - RATE));
  expect(new Set(values)).toEqual(new Set([0, kept]));
  const n = values.length;
  // Fractions are uniform to 2^-12 only, which may add to the error of a mean of n draws.
  expect(Math.abs(mean(dropped(values)) - RATE)).toBeLessThan(5 * Math.sqrt((RATE * (1 - RATE)) / n) + 2 ** -12);
});

test("rows, columns, sites, steps and seeds are independent", () => {
  const { rows, width } = SIZES;
  const base = dropped(factors(0, 0));
  const both = (a: readonly number[], b: readonly number[]) => mean(a.map((each, i) => each * b[i]!));
  const limit = (n: number) => 5 * Math.sqrt((RATE ** 2 * (1 - RATE ** 2)) / n) + 2 ** -11;
  for (const other of [factors(1, 0), factors(0, 1), factors(0, 0, 8)])
    expect(Math.abs(both(base, dropped(other)) - RATE ** 2)).toBeLessThan(limit(rows * width));
  const next = base.map((_, i) => base[(i + width) % base.length]!); // the row below
  const right = base.map((_, i) => base[i - (i % width) + (((i % width) + 1) % width)]!); // the column beside
  for (const shifted of [next, right])
    expect(Math.abs(both(base, shifted) - RATE ** 2)).toBeLessThan(limit(rows * width));
  // How many are dropped of a row varies as with independent draws: a binomial's variance, here to a quarter.
  const counts = Array.from({ length: rows }, (_, r) =>
    base.slice(r * width, (r + 1) * width).reduce((sum, each) => sum + each, 0),
  );
  const variance = mean(counts.map((count) => (count - width * RATE) ** 2));
  expect(variance / (width * RATE * (1 - RATE))).toBeGreaterThan(0.75);
  expect(variance / (width * RATE * (1 - RATE))).toBeLessThan(1.25);
});

test("the same address drops the same entries", () => {
  expect([...factors(2, 5)]).toEqual([...factors(2, 5)]);
});
