import "@tensorflow/tfjs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "@tensorar/checkpoint/node";
import { compile } from "@tensorar/onnx";
import { expectClose, type ReferenceCase, referenceCases, requireCases } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import * as runtime from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  inceptionFeatures,
  inceptionOutputs,
  inceptionShapes,
  lpips,
  lpipsLayers,
  lpipsShapes,
  resizeForInception,
  vggLayers,
} from "../src/features";
import { loadInception, loadLpips } from "../src/node";

// Expected values: pytorch-fid and LlamaGen's LPIPS in float32. The networks run compiled, which takes seconds where tfjs' own
// backend takes minutes; that both agree is tested at the end.

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const inceptions = referenceCases("pytorch_fid/inception.py").filter((fixture) => fixture.has("image_u8"));
const perceptual = referenceCases("tokenizer_image/lpips.py").filter((fixture) => fixture.has("lpips_same"));
requireCases("feature networks", [...inceptions, ...perceptual]);

/** NCHW of a fixture as NHWC. */
function imagesOf(fixture: ReferenceCase, name: string): tf.Tensor4D {
  const { data, shape } = fixture.tensor(name);
  return tf.tidy(() =>
    tf.transpose(
      tf.tensor4d(Float32Array.from(data as Float32Array, Number), shape as [number, number, number, number]),
      [0, 2, 3, 1],
    ),
  ) as tf.Tensor4D;
}

/** Runs a function of image batches compiled. */
async function compiled<K extends string>(
  fn: (inputs: Record<K, tf.Tensor4D>) => Record<string, tf.Tensor>,
  inputs: Record<K, tf.Tensor4D>,
): Promise<Record<string, { shape: readonly number[]; data: Float32Array }>> {
  const names = Object.keys(inputs) as K[];
  const spec = (tensor: tf.Tensor) => ({ dtype: "float32" as const, shape: ["batch", ...tensor.shape.slice(1)] });
  const feed = (tensor: tf.Tensor) => ({ dtype: "float32" as const, shape: tensor.shape, data: tensor.dataSync() });
  const from = <V>(value: (tensor: tf.Tensor) => V) =>
    Object.fromEntries(names.map((name) => [name, value(inputs[name])]));
  const run = await compile(fn as never, from(spec) as never, { runtime, threads: 2 });
  try {
    return (await (run as unknown as (feeds: object) => Promise<never>)(from(feed))) as never;
  } finally {
    await run.dispose();
  }
}

/** [N, H, W, C] → NCHW of the first images and channels, and of every so many rows and columns, as fixtures hold it. */
function some(
  { shape, data }: { shape: readonly number[]; data: Float32Array },
  [n, c, h, w]: readonly [number, number, number, number],
  corner = false,
): number[] {
  const [, H, W, C] = shape as [number, number, number, number];
  const every = corner ? 1 : Math.ceil(H / h);
  const values: number[] = [];
  for (let i = 0; i < n; i++)
    for (let k = 0; k < c; k++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) values.push(data[((i * H + every * y) * W + every * x) * C + k]!);
  return values;
}

const numbers = (fixture: ReferenceCase, name: string) => fixture.tensor(name).data as Float32Array;

describe.each(inceptions)("$name", (fixture) => {
  test("parameters have the checkpoint's names and shapes", () => {
    const recipes = fixture.json.weights!.map(({ name, shape }) => [name, shape]);
    expect(inceptionShapes()).toEqual(Object.fromEntries(recipes));
  });

  test("resized images", () => {
    const images = imagesOf(fixture, "image_u8");
    const resized = tf.tidy(() => tf.div(tf.add(resizeForInception(images), 1), 2)); // before 2x - 1, as the fixture
    const tolerance = fixture.tolerance("resized");
    const [N, H, W] = resized.shape as [number, number, number, number];
    const all = { shape: resized.shape, data: resized.dataSync<"float32">() };
    const first = fixture.tensor("resized_first_channel");
    expectClose("first channel", some(all, [1, 1, H, W]), first.data as Float32Array, tolerance);
    const { shape } = fixture.tensor("resized_corner");
    expectClose("corner", some(all, shape as never, true), numbers(fixture, "resized_corner"), tolerance);
    const means = tf.tidy(() => tf.mean(resized, [1, 2]).dataSync());
    expectClose("mean", means, numbers(fixture, "resized_mean"), tolerance);
    expect(N).toBeGreaterThan(0);
    tf.dispose([images, resized]);
  });

  test("features, logits and all blocks", async () => {
    const params = fixture.params();
    const images = imagesOf(fixture, "image_u8");
    const tolerance = fixture.tolerance("pool3");
    const means = Object.keys(fixture.json.tensors).filter((name) => name.startsWith("mean."));
    const slices = Object.keys(fixture.json.tensors).filter((name) => /^block\d_slice$/.test(name));
    const blockMeans = Object.keys(fixture.json.tensors).filter((name) => /^block\d_mean$/.test(name));
    // The fixture's blocks are pytorch-fid's outputs: after both poolings, and after the last block of 17 × 17.
    const blockOf = (name: string) => (name.startsWith("block2") ? "Mixed_6e" : name.slice(0, "block0".length));
    const outputs = await compiled(
      ({ images }) => {
        const blocks = inceptionOutputs(params, resizeForInception(images));
        const { pooled, spatial, logits } = inceptionFeatures(params, images);
        return {
          pooled,
          spatial,
          logits,
          probabilities: tf.softmax(logits),
          ...Object.fromEntries(means.map((name) => [name, tf.mean(blocks.get(name.slice("mean.".length))!, [1, 2])])),
          ...Object.fromEntries(blockMeans.map((name) => [name, tf.mean(blocks.get(blockOf(name))!, [1, 2])])),
          ...Object.fromEntries(slices.map((name) => [name, blocks.get(blockOf(name))!])),
        };
      },
      { images },
    );
    expectClose("pooled", outputs.pooled!.data, numbers(fixture, "pool3"), tolerance);
    for (const name of [...means, ...blockMeans])
      expectClose(name, outputs[name]!.data, numbers(fixture, name), tolerance);
    for (const name of slices) {
      const { shape } = fixture.tensor(name);
      expectClose(name, some(outputs[name]!, shape as never), numbers(fixture, name), tolerance);
    }
    const spatial = fixture.tensor("mixed_6d_branch1x1_first7");
    expectClose("spatial", some(outputs.spatial!, spatial.shape as never), spatial.data as Float32Array, tolerance);
    // 2048 products of features, each as far off as `pooled`: the deviations add up like a random walk.
    const ofSums = { atol: tolerance.atol * 4, rtol: 0 };
    expectClose("logits", outputs.logits!.data, numbers(fixture, "softmax_logits_nobias"), ofSums);
    expectClose(
      "probabilities",
      outputs.probabilities!.data,
      numbers(fixture, "softmax_probs"),
      fixture.tolerance("softmax"),
    );
    tf.dispose([params, images]);
  });
});

describe.each(perceptual)("$name", (fixture) => {
  test("parameters have the original's names and shapes", () => {
    const recipes = fixture.json.weights!.map(({ name, shape }) => [name, shape]);
    expect(lpipsShapes()).toEqual(Object.fromEntries(recipes));
  });

  test("distances, and the layers below them", async () => {
    const params = fixture.params();
    const [a, b] = [imagesOf(fixture, "a"), imagesOf(fixture, "b")];
    const outputs = await compiled(
      ({ a, b }) => ({
        ab: lpips(params, a, b),
        aa: lpips(params, a, a),
        layers: lpipsLayers(params, a, b),
        gradient: tf.grad((x) => tf.mean(lpips(params, a, x as tf.Tensor4D)))(b),
        ...Object.fromEntries(vggLayers(params, a).map((layer, i) => [`vgg.relu${i + 1}`, layer])),
      }),
      { a, b },
    );
    expectClose("lpips", outputs.ab!.data, numbers(fixture, "lpips"), fixture.tolerance("lpips"));
    expectClose("same", outputs.aa!.data, numbers(fixture, "lpips_same"), fixture.tolerance("lpips"));
    expectClose("layers", outputs.layers!.data, numbers(fixture, "per_layer"), fixture.tolerance("lpips"));
    const gradient = some(outputs.gradient!, fixture.tensor("grad_b").shape as never, true);
    expectClose("gradient", gradient, numbers(fixture, "grad_b"), fixture.tolerance("grad_b"));
    for (const name of Object.keys(fixture.json.tensors).filter((each) => each.startsWith("vgg."))) {
      if (name.endsWith(".slice")) continue;
      const { shape, data } = outputs[name.slice(0, -".mean".length)]!;
      const means = tf.tidy(() => tf.mean(tf.tensor4d(data, shape as never), [1, 2]).dataSync());
      expectClose(name, means, numbers(fixture, name), fixture.tolerance("vgg"));
    }
    for (const name of Object.keys(fixture.json.tensors).filter((each) => each.endsWith(".slice"))) {
      const { shape, data } = fixture.tensor(name);
      const layer = outputs[name.slice(0, -".slice".length)]!;
      expectClose(name, some(layer, shape as never), data as Float32Array, fixture.tolerance("vgg"));
    }
    expect(() => lpips(params, a, tf.zeros([1, 8, 8, 3]))).toThrow(/can't be compared/);
    tf.dispose([params, a, b]);
  });
});

describe("compiled and eager", () => {
  // One program of float32 sums in two orders: relative to values of size 1, some ten roundings of 6e-8 for each of the
  // layers that follow one another, which are 20 here.
  const ROUNDING = { atol: 2e-5, rtol: 2e-5 };
  const side = 75; // the least that all layers of Inception can halve
  /** Uniform in [-1, 1); a hash, because sums of an evenly spread sequence cancel and leave little but rounding. */
  const at = (i: number): number => {
    const z = Math.imul(i ^ (i >>> 16), 0x85ebca6b);
    const y = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((y ^ (y >>> 16)) >>> 0) / 2 ** 31 - 1;
  };
  const spread = (shape: readonly number[], offset = 0, scale = Math.sqrt(3)): tf.Tensor => {
    const size = shape.reduce((a, b) => a * b, 1);
    const fanIn = shape.length > 1 ? shape.slice(1).reduce((a, b) => a * b, 1) : 1;
    return tf.tensor(
      Float32Array.from(
        { length: size },
        (_, i) => offset + (scale / Math.sqrt(fanIn)) * at(Math.imul(i + size, 0x9e3779b9)),
      ),
      [...shape],
    );
  };

  test("Inception", async () => {
    const params = Object.fromEntries(
      Object.entries(inceptionShapes()).map(([name, shape]) => {
        if (name.endsWith(".bn.weight") || name.endsWith(".running_var")) return [name, spread(shape, 1, 0.1)];
        return [name, shape.length === 1 ? spread(shape, 0, 0.05) : spread(shape)];
      }),
    );
    const x = spread([1, side, side, 3], 0, 100) as tf.Tensor4D;
    const deepest = Object.keys(params).at(-3)!.split(".")[0]!;
    const eager = tf.tidy(() => inceptionOutputs(params, x).get(deepest)!);
    const outputs = await compiled(({ x }) => ({ y: inceptionOutputs(params, x).get(deepest)! }), { x });
    expect(outputs.y!.shape).toEqual(eager.shape);
    expectClose(deepest, outputs.y!.data, eager.dataSync(), ROUNDING);
    tf.dispose([params, x, eager]);
  });

  test("LPIPS, its gradient also where all channels are 0", async () => {
    const params = Object.fromEntries(
      Object.entries(lpipsShapes()).map(([name, shape]) => [
        name,
        shape.length === 1 ? spread(shape, 0, 0) : spread(shape, name.startsWith("lin") ? 0.5 : 0),
      ]),
    );
    const a = spread([1, 16, 16, 3], 0, 27) as tf.Tensor4D;
    const run = (image: tf.Tensor4D) => ({
      distance: lpips(params, a, image),
      gradient: tf.grad((x) => tf.sum(lpips(params, a, x as tf.Tensor4D)))(image),
    });
    const mirrored = tf.tidy(() => tf.reverse(a, 2)) as tf.Tensor4D;
    const eager = tf.tidy(() => run(mirrored));
    const outputs = await compiled(({ image }) => run(image), { image: mirrored });
    expectClose("distance", outputs.distance!.data, eager.distance.dataSync(), ROUNDING);
    const gradient = eager.gradient.dataSync<"float32">();
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expectClose("gradient", outputs.gradient!.data, gradient, { atol: ROUNDING.atol * largest, rtol: 0 });

    // The scaling layer's shift: VGG sees zeros, and without biases every layer is 0, where a ReLU passes no gradient.
    const dark = tf.tidy(() => tf.add(tf.zeros([1, 16, 16, 3]), [-0.03, -0.088, -0.188])) as tf.Tensor4D;
    const ofDark = await compiled(({ image }) => run(image), { image: dark });
    expect([...ofDark.gradient!.data]).toEqual(Array.from({ length: dark.size }, () => 0));
    expect(ofDark.distance!.data[0]).toBeGreaterThan(0);
    tf.dispose([eager, mirrored, dark]);
    tf.dispose([params, a]);
  });
});

describe("weights", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "tensorar metrics "));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  const zeros = (shapes: Readonly<Record<string, readonly number[]>>, rename = (name: string) => name) =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, shape], i) => [
        rename(name),
        { dtype: "float32" as const, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(i) },
      ]),
    );

  test("are read by name, whatever else is in the file, and their absence says where to find them", async () => {
    const path = join(dir, "vgg both.safetensors");
    await writeSafetensors(path, {
      ...zeros(lpipsShapes()),
      extra: { dtype: "float32", shape: [1], data: new Float32Array(1) },
    });
    const loaded = await loadLpips(path);
    expect(Object.keys(loaded).sort()).toEqual(Object.keys(lpipsShapes()).sort());
    const [linear, vgg] = [join(dir, "lin.safetensors"), join(dir, "vgg16.safetensors")];
    await writeSafetensors(linear, zeros(lpipsShapes()));
    await writeSafetensors(
      vgg,
      zeros(lpipsShapes(), (name) => name.replace(/^net\.slice\d/, "features")),
    );
    const split = await loadLpips(linear, vgg);
    expect(Object.keys(split).sort()).toEqual(Object.keys(loaded).sort());
    for (const [name, { data }] of Object.entries(split)) {
      const [bytes, expected] = [data, loaded[name]!.data].map((each) =>
        Buffer.from(each.buffer, each.byteOffset, each.byteLength),
      );
      expect(bytes!.equals(expected!), name).toBe(true);
    }
    await expect(loadInception(join(dir, "none.pth"))).rejects.toThrow(
      /none\.pth: there is no such file.*https:\/\/.*pt_inception/,
    );
    await expect(loadLpips(join(dir, "none.pth"))).rejects.toThrow(/no such file.*https:\/\//);
    await expect(loadInception(path)).rejects.toThrow(
      /"Conv2d_1a_3x3\.conv\.weight" is missing; it does not hold FID's/,
    );
    await expect(loadLpips(vgg)).rejects.toThrow(/"net\.slice1\.0\.weight" is missing; it does not hold VGG-16/);
    const onlyLinear = join(dir, "only linear.safetensors");
    await writeSafetensors(
      onlyLinear,
      zeros(Object.fromEntries(Object.entries(lpipsShapes()).filter(([name]) => name.startsWith("lin")))),
    );
    await expect(loadLpips(onlyLinear)).rejects.toThrow(/torchvision's as the second file, from https:\/\//);
    const misshapen = join(dir, "misshapen.safetensors");
    await writeSafetensors(misshapen, {
      "Conv2d_1a_3x3.conv.weight": { dtype: "float32", shape: [32, 3, 3], data: new Float32Array(288) },
    });
    await expect(loadLpips(misshapen)).rejects.toThrow(/"lin0\.model\.1\.weight" is missing; it does not hold LPIPS/);
    await expect(loadInception(misshapen)).rejects.toThrow(/has the shape \[32,3,3\], not \[32,3,3,3\]/);
    await writeFile(join(dir, "text.pth"), "not weights");
    await expect(loadInception(join(dir, "text.pth"))).rejects.toThrow(/text\.pth/);
  });
});
