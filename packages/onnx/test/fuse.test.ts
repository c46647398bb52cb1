import "@tensorflow/tfjs";
import { expectClose } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compile, type FusionTarget, type OnnxModel, type TensorSpec, trace } from "../src";
import { within } from "./within";

// A few roundings of float32: norms and rotations add in other orders than tfjs does.
const TOLERANCE = 2e-5;
/** ONNX Runtime's SkipLayerNormalization takes the variance as mean(x²) - mean(x)²: both are near 1 here. */
const VARIANCE_TOLERANCE = 1e-4;

const D = 24;
let rows: tf.Tensor[];
beforeAll(async () => {
  await tf.setBackend("cpu");
  rows = Array.from({ length: 8 }, (_, seed) => tf.randomUniform([D], 0.5, 2, "float32", seed + 1));
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

type Fn = (x: tf.Tensor) => tf.Tensor | readonly tf.Tensor[];
const listed = (fn: Fn) => (x: tf.Tensor) => [fn(x)].flat() as tf.Tensor[];
const operators = ({ graph }: OnnxModel): string[] => graph.nodes.map(({ op }) => op);
const CONTRIB = /Normalization|Gelu|Rotary/;
const fusedIn = (model: OnnxModel): string[] => operators(model).filter((op) => CONTRIB.test(op));

/** Traces `fn` plainly and for a provider, compares both with the eager values, and returns the fused model. */
async function compared(
  fn: Fn,
  shape: TensorSpec["shape"],
  sizes: readonly number[],
  fuse: FusionTarget,
  tolerance = TOLERANCE,
) {
  const spec = { dtype: "float32", shape } as const;
  const forms = await Promise.all([
    compile(listed(fn), spec, { runtime: ort }),
    compile(listed(fn), spec, { runtime: ort, fuse }),
  ]);
  for (const size of sizes) {
    const x = tf.randomNormal(
      shape.map((dim) => (typeof dim === "string" ? size : dim)),
      0.3,
      1,
      "float32",
      size + 1,
    );
    const eager = listed(fn)(x);
    for (const form of forms) {
      const results = await form(x);
      for (const [i, expected] of eager.entries())
        expectClose(`output ${i} at ${size}`, results[i]!.data as Float32Array, expected.dataSync(), within(tolerance));
    }
  }
  expect(fusedIn(forms[0]!.model)).toEqual([]);
  await Promise.all(forms.map((form) => form.dispose()));
  return forms[1]!.model;
}

/** Weights, which are captured: drawing random numbers while tracing is an error. */
const row = (index: number): tf.Tensor => rows[index]!;
const epsilon = 1e-5;
const scaleOf = (x: tf.Tensor) => tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon));
const rms = (x: tf.Tensor, weight: tf.Tensor = row(1)) => tf.mul(tf.mul(x, scaleOf(x)), weight);
const centred = (x: tf.Tensor) => tf.sub(x, tf.mean(x, -1, true));
const plain = (x: tf.Tensor) => tf.mul(centred(x), scaleOf(centred(x)));
const layer = (x: tf.Tensor) => {
  const c = centred(x);
  return tf.add(tf.mul(tf.mul(c, scaleOf(c)), row(1)), row(2));
};

describe("norms", () => {
  test.each<[string, Fn, string[]]>([
    ["root-mean-square", rms, ["SimplifiedLayerNormalization"]],
    ["without a weight", (x) => tf.mul(x, scaleOf(x)), ["SimplifiedLayerNormalization"]],
    ["layer", layer, ["LayerNormalization"]],
    ["layer without a bias", (x) => tf.mul(plain(x), row(1)), ["LayerNormalization"]],
    ["layer without weight and bias", plain, ["LayerNormalization"]],
    ["layer, then other factors", (x) => tf.mul(plain(x), tf.add(x, 1)), ["LayerNormalization"]],
    ["two of the same rows", (x) => [rms(x), tf.exp(layer(x))], ["SimplifiedLayerNormalization", "LayerNormalization"]],
  ])("%s: one operator", async (_, fn, expected) => {
    for (const shape of [
      ["n", D],
      ["n", 2, D],
    ] as const)
      expect(fusedIn(await compared(fn, shape, [1, 5], "cpu"))).toEqual(expected);
  });

  test("a given weight, and one that is computed", async () => {
    const spec = { x: { dtype: "float32", shape: ["n", D] }, w: { dtype: "float32", shape: [D] } } as const;
    const fn = ({ x, w }: { x: tf.Tensor; w: tf.Tensor }) => ({ y: rms(rms(x, w), tf.mul(row(3), 0.25)) });
    const form = await compile(fn, spec, { runtime: ort, fuse: "cuda" });
    expect(fusedIn(form.model)).toEqual(["SimplifiedLayerNormalization", "SimplifiedLayerNormalization"]);
    const inputs = { x: tf.randomNormal([3, D], 0, 1, "float32", 1), w: row(4) };
    expectClose("values", (await form(inputs)).y.data as Float32Array, fn(inputs).y.dataSync(), within(TOLERANCE));
    await form.dispose();
  });

  test.each<[string, Fn]>([
    ["over another axis", (x) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), 0, true), epsilon))), row(1))],
    ["of the mean of something else", (x) => tf.mul(tf.mul(x, scaleOf(tf.exp(x))), row(1))],
    ["with a scale that is returned", (x) => [tf.mul(tf.mul(x, scaleOf(x)), row(1)), scaleOf(x)]],
    ["with a cube", (x) => tf.mul(x, tf.rsqrt(tf.add(tf.abs(tf.mean(tf.pow(x, 3), -1, true)), epsilon)))],
    ["with a sum", (x) => tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), -1, true), epsilon)))],
  ])("what looks like one %s: left", async (_, fn) => {
    expect(fusedIn(await compared(fn, ["n", D], [4], "cuda"))).toEqual([]);
  });

  test("with a result in between that is read: what is left of it", async () => {
    const normed = (x: tf.Tensor) => tf.mul(x, scaleOf(x));
    const between: Fn = (x) => [tf.mul(normed(x), row(1)), tf.exp(normed(x))];
    const model = await compared(between, ["n", D], [4], "cuda");
    expect(operators(model)).toEqual(["SimplifiedLayerNormalization", "Mul", "Exp"]);
    const differs: Fn = (x) => [layer(x), tf.exp(centred(x))]; // the rows without their mean are needed
    expect(fusedIn(await compared(differs, ["n", D], [4], "cuda"))).toEqual(["SimplifiedLayerNormalization"]);
  });
});

describe("norms of sums", () => {
  const next = (x: tf.Tensor) => tf.sin(x);

  test("sum and norm are one operator that returns both, in a row of them", async () => {
    const blocks: Fn = (x) => {
      const middle = tf.add(x, next(rms(x)));
      const end = tf.add(middle, next(rms(middle, row(2))));
      return [rms(end, row(3)), middle];
    };
    for (const shape of [
      ["n", D],
      ["n", 2, D],
    ] as const)
      expect(fusedIn(await compared(blocks, shape, [1, 4], "cuda"))).toEqual([
        "SimplifiedLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "SkipSimplifiedLayerNormalization",
      ]);
    expect(fusedIn(await compared(blocks, ["n", D], [2], "cpu"))).not.toContain("SkipSimplifiedLayerNormalization");
  });

  test("layer norms too, with and without weights", async () => {
    for (const norm of [layer, plain]) {
      const fn: Fn = (x) => norm(tf.add(next(x), x));
      expect(fusedIn(await compared(fn, ["n", D], [1, 4], "directml", VARIANCE_TOLERANCE))).toEqual([
        "SkipLayerNormalization",
      ]);
    }
  });

  test.each<[string, Fn, TensorSpec["shape"]]>([
    ["a row is added to all", (x) => rms(tf.add(x, row(5))), ["n", D]],
    ["there are four axes", (x) => rms(tf.add(x, next(x))), ["n", 2, 2, D]],
    ["there is one", (x) => rms(tf.add(x, next(x))), [D]],
    ["the weight is computed", (x) => rms(tf.add(x, next(x)), tf.mean(x, 0)), ["n", D]],
  ])("only the norm where %s", async (_, fn, shape) => {
    expect(fusedIn(await compared(fn, shape, [3], "cuda"))).toEqual(["SimplifiedLayerNormalization"]);
  });

  test("of two norms of one sum the first is merged with it", async () => {
    const fn: Fn = (x) => {
      const sum = tf.add(x, next(x));
      return [rms(sum), layer(sum), rms(sum, row(6)), sum];
    };
    const model = await compared(fn, ["n", D], [3], "cuda", VARIANCE_TOLERANCE);
    expect(fusedIn(model).filter((op) => op.startsWith("Skip"))).toHaveLength(1);
  });
});

describe("activations", () => {
  const gelu = (x: tf.Tensor, half = 0.5) => tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), half));
  const tanh = (x: tf.Tensor, factor = 0.044715) => {
    const cubic = tf.mul(x, tf.add(tf.mul(tf.square(x), factor), 1));
    return tf.mul(x, tf.mul(tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1), 0.5));
  };
  test.each<[string, Fn, string[]]>([
    ["silu", (x) => tf.mul(x, tf.sigmoid(x)), ["QuickGelu"]],
    ["silu, the other way round", (x) => tf.mul(tf.sigmoid(x), x), ["QuickGelu"]],
    ["swiglu", (x) => tf.mul(tf.mul(x, tf.sigmoid(x)), tf.exp(x)), ["QuickGelu"]],
    ["gelu", gelu, ["Gelu"]],
    ["gelu by the hyperbolic tangent", tanh, ["FastGelu"]],
    ["the sigmoid of something else", (x) => tf.mul(x, tf.sigmoid(tf.mul(x, 1.5))), []],
    ["a sigmoid that is returned", (x) => [tf.mul(x, tf.sigmoid(x)), tf.sigmoid(x)], []],
    ["another share", (x) => gelu(x, 0.4), []],
    ["another cubic", (x) => tanh(x, 0.04), []],
  ])("%s", async (_, fn, expected) => {
    // ONNX Runtime's erf and tanh are approximations to a few units in the last place of float32.
    expect(fusedIn(await compared(fn, ["n", 9], [1, 6], "cuda"))).toEqual(expected);
  });
});

test("gradients keep what they read", async () => {
  const fn: Fn = (x) => {
    const { value, grads } = tf.valueAndGrads((x: tf.Tensor) => tf.sum(tf.mul(layer(x), tf.sigmoid(rms(x)))))([x]);
    return [value, grads[0]!];
  };
  await compared(fn, ["n", D], [3], "cuda", VARIANCE_TOLERANCE);
});

test("the model says what it is, and other providers are refused", () => {
  const spec = { dtype: "float32", shape: ["n", D] } as const;
  const other = () => trace((x: tf.Tensor) => rms(x), spec, { fuse: "tensorrt" as "cuda" });
  expect(other).toThrow(/fuse: "tensorrt"; use cpu, cuda, webgpu, directml, or leave it out/);
  const model = trace((x: tf.Tensor) => rms(x), spec, { fuse: "webgpu" });
  expect(model.outputs).toEqual([{ name: "output", dtype: "float32", shape: ["n", D] }]);
});
