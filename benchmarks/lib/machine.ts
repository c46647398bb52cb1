import { once } from "node:events";
import { availableParallelism, cpus, totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { compile } from "@tensorar/onnx";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { measure } from "./measure";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly platform: string;
  readonly node: string;
  readonly onnxruntime: string;
}

/** What the numbers were measured on. */
export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    onnxruntime: ort.env.versions.node ?? "unknown",
  };
}

/**
 * Memory bandwidth, GB/s, read and written bytes together: every core copies a block of its own, far larger than its caches,
 * at the same time. The floor of whatever reads each weight once.
 */
export async function copyBandwidth({
  threads = availableParallelism(),
  megabytes = 128,
  runs = 10,
} = {}): Promise<number> {
  const bytes = megabytes * 2 ** 20;
  const url = new URL("./copy-worker.mjs", import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(url, { workerData: { bytes, runs } }));
  await Promise.all(workers.map((worker) => once(worker, "message"))); // "ready"
  const times = workers.map(async (worker) => {
    const [milliseconds] = (await once(worker, "message")) as [number];
    return milliseconds;
  });
  for (const worker of workers) worker.postMessage("go");
  const slowest = Math.max(...(await Promise.all(times)));
  return (2 * bytes * runs * threads) / slowest / 1e6;
}

/** Arithmetic, GFLOP/s: a product of two 1024 × 1024 float32 matrices, both inputs, in ONNX Runtime. */
export async function matmulRate({ size = 1024, threads = availableParallelism() } = {}): Promise<number> {
  const matrix = { dtype: "float32", shape: [size, size] } as const;
  await tf.ready();
  const product = await compile(
    ({ a, b }) => ({ c: tf.matMul(a, b) }),
    { a: matrix, b: matrix },
    { runtime: ort, threads },
  );
  const ones = { ...matrix, data: new Float32Array(size * size).fill(1) };
  const milliseconds = await measure(() => product({ a: ones, b: ones }));
  await product.dispose();
  return (2 * size ** 3) / milliseconds / 1e6;
}
