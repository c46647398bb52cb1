import { expectClose, requireCases, type StoredTensor, type Tolerance } from "@tensorar/testing";
import { describe, expect, test } from "vitest";
import { createMoments, frechetDistance, inceptionScore, type MomentsResult, precisionRecall, softmax } from "../src";
import { squaredRadii } from "../src/precision-recall";
import { isFrechet, type MetricCase, metricCases } from "./metric-cases";

// Expected numbers: openai/guided-diffusion's evaluator and pytorch-fid, in numpy. Tolerances are the fixture's own.

const cases = metricCases();
requireCases("metrics", cases);

describe.each(cases)("$name", (fixture) => {
  const { expected, tolerances } = fixture.json;
  const tensor = (name: string) => fixture.tensor(name);
  const number = (metric: string, key: string) => expected[metric]![key] as number;

  const distances = Object.keys(expected).filter((name) => isFrechet(expected[name]));
  test.each(distances)("Fréchet distance: %s", (name) => {
    const [sample, real] = [features(fixture, name, "sample"), features(fixture, name, "ref")];
    const distance = frechetDistance(momentsOf(sample), momentsOf(real));
    // By eigenvalues, with float64 means: what is exact also where covariances are singular.
    const tolerance = tolerances[name] ?? STRICT;
    expectClose(name, [distance], [number(name, "frechet_eigen_all_float64")], tolerance);
    // The original takes the root of a matrix, which is noisy for no more rows than features: the fixture says 1e-4, and
    // 1e-3 for what should be 0.
    const singular = [sample, real].map(setOf).some(({ count, dims }) => count <= dims);
    const noise = singular ? { atol: 1e-3, rtol: 1e-4 } : tolerance;
    expectClose(`${name}, pytorch-fid`, [distance], [number(name, "frechet_pytorch_fid")], noise);
  });

  const statistics = Object.keys(fixture.json.tensors).filter(
    (key) => key.endsWith("_mu") || key.includes("_sigma_first"),
  );
  test.each(statistics)("mean and covariance: %s", (key) => {
    const [, name, side] = /^(.*)\.(ref|sample)_/.exec(key)!;
    const { mean, covariance } = momentsOf(features(fixture, name!, side as Side));
    const stored = tensor(key);
    const [rows, columns] = stored.shape as [number, number?];
    if (columns === undefined) return expectClose(key, mean, stored.data, ROUNDING);
    const dims = mean.length;
    const corner = Array.from({ length: rows }, (_, i) => [...covariance.subarray(i * dims, i * dims + columns)]);
    expectClose(key, corner.flat(), stored.data, ROUNDING);
  });

  test.each(scoresOf(fixture))("Inception Score, chunks of $splitSize", ({ splitSize, value }) => {
    const [images, width] = tensor("is.activations").shape as [number, number];
    const classes = tensor("is.weight").shape[1]!;
    const logits = product(tensor("is.activations"), tensor("is.weight"), images, width, classes);
    const score = inceptionScore(softmax(logits, classes), { classes, splitSize });
    expectClose("score", [score], [value], tolerances.is_!);
  });

  const neighbours = Object.keys(expected.precision_recall ?? {}).flatMap(
    (key) => /^k(\d+)_float64$/.exec(key)?.[1] ?? [],
  );
  test.each(neighbours.map(Number))("precision and recall, k = %i", (k) => {
    const [real, fake] = [setOf(tensor("pr.ref")), setOf(tensor("pr.sample"))];
    expect(precisionRecall(real, fake, { k })).toEqual(expected.precision_recall![`k${k}_float64`]);
    const tolerance = tolerances.radii!;
    expectClose("radii of real", squaredRadii(real, k), tensor(`pr.radii_ref_k${k}`).data, tolerance);
    expectClose("radii of fake", squaredRadii(fake, k), tensor(`pr.radii_sample_k${k}`).data, tolerance);
  });

  test("finds every kind of number in the file", () => {
    for (const found of [distances, statistics, scoresOf(fixture), neighbours]) expect(found.length).toBeGreaterThan(0);
  });
});

const STRICT: Tolerance = { atol: 0, rtol: 1e-6 }; // where the fixture states none
const ROUNDING: Tolerance = { atol: 1e-12, rtol: 1e-10 }; // float64 sums of a few hundred values of size 1, in another order

type Side = "ref" | "sample";

/** Features `[n, dims]` of one side of a distance; a distance of a set to itself stores one side only. */
function features({ json: { tensors }, tensor }: MetricCase, name: string, side: Side): StoredTensor {
  const find = (wanted: Side) =>
    Object.keys(tensors).find(
      (key) => key.startsWith(`${name}.${wanted}`) && !key.includes("_mu") && !key.includes("_sigma"),
    );
  const key = find(side) ?? find("ref");
  if (!key) throw new Error(`no features of ${name}`);
  return tensor(key);
}

function setOf({ data, shape: [count = 0, ...rest] }: StoredTensor) {
  const dims = rest.reduce((all, size) => all * size, 1);
  return { data: data as Float32Array, count, dims };
}

function momentsOf(tensor: StoredTensor): MomentsResult {
  const { data, dims } = setOf(tensor);
  const moments = createMoments(dims);
  moments.add(data);
  return moments.result();
}

function scoresOf({ json: { expected } }: MetricCase): { splitSize: number; value: number }[] {
  return Object.entries(expected.is ?? {}).map(([key, value]) => ({
    splitSize: Number(/^split_(\d+)$/.exec(key)![1]),
    value: value as number,
  }));
}

/** `a` [rows, width] · `b` [width, columns], in float64. */
function product(a: StoredTensor, b: StoredTensor, rows: number, width: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let t = 0; t < width; t++) sum += Number(a.data[i * width + t]) * Number(b.data[t * columns + j]);
    return sum;
  });
}
