import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createMoments, type FeatureSet, frechetDistance, type MomentsResult, manifoldScores } from "@tensorar/metrics";
import { inceptionFeatures, inceptionShapes } from "@tensorar/metrics/features";
import { createStream } from "@tensorar/noise";
import { compile } from "@tensorar/onnx";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { matmulRate } from "./lib/machine";
import { measure } from "./lib/measure";
import { costRow, type Row, rateRow } from "./lib/row";
import { torchNumber } from "./lib/torch-peer";
import { inTurnsWithTorch } from "./lib/turns";

const PEER = fileURLToPath(new URL("./peers/metrics_peer.py", import.meta.url));
const DIMS = 2048;
const IMAGES = 10_000;
/** Multiply-adds of the network for one image of 299 × 299, as published for Inception-v3. */
const INCEPTION_MACS = 5.7e9;

/** Operations of a Fréchet distance, by the cube of the features: Cholesky's factor, two triangular products, tridiagonal form. */
const FRECHET_FLOPS = 1 / 3 + 2 / 3 + 1 / 3 + 4 / 3;

/** Metrics of 2048 features against scipy and numpy, and the network that makes them. */
export async function* run(): AsyncGenerator<Row> {
  await tf.ready();
  const float64Rate = (await matmulRate()) / 2; // half as many numbers in a register
  yield await frechet(float64Rate);
  yield await scatter(float64Rate);
  yield await neighbours();
  yield await inception();
}

/** Both compute the distance of the same two Gaussians, in turns. */
async function frechet(float64Rate: number): Promise<Row> {
  const [a, b] = [statistics(1), statistics(2)];
  const folder = await mkdtemp(join(tmpdir(), "tensorar-bench-"));
  try {
    for (const [name, { mean, covariance }] of Object.entries({ a, b }))
      await writeFile(
        join(folder, `${name}.f64`),
        [mean, covariance].map((values) => new Uint8Array(values.buffer)),
      );
    let distance = 0;
    const ours = async () => {
      const start = performance.now();
      distance = frechetDistance(a, b);
      return performance.now() - start;
    };
    const args = ["frechet", String(DIMS), folder];
    const { value, peer } = await inTurnsWithTorch(ours, args, { script: PEER });
    const theirs = peer === null ? null : await torchNumber(args, "distance", PEER);
    if (theirs !== null && !(Math.abs(theirs - distance) <= 1e-6 * distance))
      throw new Error(`metrics.bench: the Fréchet distance is ${distance}, scipy's ${theirs}; one of them is wrong`);
    return costRow("Fréchet distance of 2048 features (peer: scipy sqrtm)", value / 1000, "s", {
      peer: peer === null ? null : peer / 1000,
      limit: (FRECHET_FLOPS * DIMS ** 3) / 1e9 / float64Rate,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Mean and covariance of float32 rows, in float64. */
async function scatter(float64Rate: number): Promise<Row> {
  const rows = new Float32Array(IMAGES * DIMS);
  const random = createStream(3, "features");
  for (let i = 0; i < rows.length; i++) rows[i] = random.normal();
  const ours = async () => {
    const start = performance.now();
    const moments = createMoments(DIMS);
    moments.add(rows);
    moments.result();
    return performance.now() - start;
  };
  const args = ["scatter", String(IMAGES), String(DIMS)];
  const { value, peer } = await inTurnsWithTorch(ours, args, { script: PEER });
  return costRow("moments of 10,000 x 2048 features (peer: numpy)", value / 1000, "s", {
    peer: peer === null ? null : peer / 1000,
    limit: (IMAGES * DIMS ** 2) / 1e9 / float64Rate,
  });
}

/** Of features with variances of different sizes. */
function statistics(seed: number): MomentsResult {
  const random = createStream(seed, "features");
  const moments = createMoments(DIMS);
  for (let block = 0; block < 16; block++) {
    const rows = Float32Array.from(
      { length: (2 * DIMS * DIMS) / 16 },
      (_, i) => (0.1 + (i % DIMS) / DIMS) * random.normal(),
    );
    moments.add(rows);
  }
  return moments.result();
}

async function neighbours(): Promise<Row> {
  const set = (seed: number): FeatureSet => {
    const random = createStream(seed, "rows");
    return { count: IMAGES, dims: DIMS, data: Float32Array.from({ length: IMAGES * DIMS }, () => random.normal()) };
  };
  const product = await compile(
    ({ a, b }) => ({ products: tf.matMul(a, b, false, true) }),
    { a: { dtype: "float32", shape: ["rowsA", DIMS] }, b: { dtype: "float32", shape: ["rowsB", DIMS] } },
    { runtime: ort },
  );
  const [real, fake] = [set(1), set(2)];
  const start = performance.now();
  await manifoldScores(real, fake, {
    k: 3,
    products: async (a, b, { rowsA, rowsB }) => {
      const feed = (data: Float32Array, rows: number) => ({ dtype: "float32" as const, shape: [rows, DIMS], data });
      return (await product({ a: feed(a, rowsA), b: feed(b, rowsB) })).products.data as Float32Array;
    },
  });
  const seconds = (performance.now() - start) / 1000;
  await product.dispose();
  const peer = await torchNumber(["neighbours", String(IMAGES), String(DIMS)], "seconds", PEER);
  const limit = (3 * 2 * IMAGES * IMAGES * DIMS) / 1e9 / (await matmulRate());
  return costRow("precision, recall, density, coverage of 10,000 x 10,000 (peer: numpy)", seconds, "s", {
    peer,
    limit,
  });
}

async function inception(): Promise<Row> {
  const params = Object.fromEntries(
    Object.entries(inceptionShapes()).map(([name, shape]) => [
      name,
      name.endsWith("running_var") ? tf.ones([...shape]) : tf.randomUniform([...shape], -0.05, 0.05, "float32", 1),
    ]),
  );
  const batch = 8;
  const images = { dtype: "float32", shape: [batch, 256, 256, 3] } as const;
  const network = await compile(
    ({ images }) => ({ ...inceptionFeatures(params, images as tf.Tensor4D) }),
    { images },
    { runtime: ort },
  );
  const data = new Float32Array(batch * 256 * 256 * 3).fill(100);
  const milliseconds = await measure(() => network({ images: { ...images, data } }), { warmup: 1, runs: 3 });
  await network.dispose();
  tf.dispose(params);
  const rate = (2 * INCEPTION_MACS * batch) / milliseconds / 1e6;
  return rateRow("Inception features, batch 8", rate, "GFLOP/s", { limit: await matmulRate() });
}
