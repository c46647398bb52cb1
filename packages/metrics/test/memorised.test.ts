import { hashValues } from "@tensorar/testing";
import { expect, test } from "vitest";
import { type FeatureSet, memorisedFraction, type RowProducts } from "../src";

const DIMS = 3;

const products: RowProducts = async (a, b, { rowsA, rowsB, dims }) => {
  const out = new Float32Array(rowsA * rowsB);
  for (let i = 0; i < rowsA; i++)
    for (let j = 0; j < rowsB; j++)
      for (let t = 0; t < dims; t++) out[i * rowsB + j]! += a[i * dims + t]! * b[j * dims + t]!;
  return out;
};

const values = (count: number, name: string, offset = 0): FeatureSet => ({
  data: hashValues(name, count * DIMS, offset, 1),
  count,
  dims: DIMS,
});

/** Distance of each row to the nearest of another set, by the definition. */
function nearest(from: FeatureSet, to: FeatureSet): number[] {
  const row = ({ data }: FeatureSet, i: number) => data.subarray(i * DIMS, (i + 1) * DIMS);
  return Array.from({ length: from.count }, (_, i) =>
    Math.min(
      ...Array.from({ length: to.count }, (_, j) => {
        const [x, y] = [row(from, i), row(to, j)];
        return Math.hypot(...x.map((value, t) => value - y[t]!));
      }),
    ),
  );
}

test("is the fraction of images nearer to training than all but a quantile of new ones, far from the origin as well", async () => {
  for (const offset of [0, 1000]) {
    const sets = {
      training: values(600, "training", offset), // more than a block of rows
      heldOut: values(200, "held out", offset),
      fake: values(300, "fake", offset),
    };
    const usual = nearest(sets.heldOut, sets.training).sort((a, b) => a - b);
    const expected = nearest(sets.fake, sets.training).filter((distance) => distance < usual[20]!).length / 300;
    expect(expected).toBeGreaterThan(0.02);
    expect(await memorisedFraction(sets, { products, quantile: 0.1 })).toBe(expected);
  }
});

test("is 1 for copies, and 0 where nothing is near", async () => {
  const [training, heldOut] = [values(50, "training"), values(40, "held out")];
  expect(await memorisedFraction({ training, heldOut, fake: training }, { products })).toBe(1);
  expect(await memorisedFraction({ training, heldOut, fake: values(30, "far", 100) }, { products })).toBe(0);
});

test("sets of other widths and quantiles that are none are refused", async () => {
  const [training, heldOut] = [values(50, "training"), values(40, "held out")];
  const wide = { data: new Float32Array(8), count: 2, dims: 4 };
  const run = (fake: FeatureSet, quantile: number) =>
    memorisedFraction({ training, heldOut, fake }, { products, quantile });
  await expect(run(wide, 0.1)).rejects.toThrow("real has 3 features, fake has 4");
  await expect(run(training, 1)).rejects.toThrow("quantile = 1; it lies in [0, 1)");
});
