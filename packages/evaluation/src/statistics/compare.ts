import { setImmediate } from "node:timers/promises";
import type { TensorData } from "@tensorar/checkpoint";
import {
  frechetDistance,
  inceptionScoreOf,
  type Kid,
  kernelDistanceSteps,
  manifoldScores,
  type RowProducts,
} from "@tensorar/metrics";
import type { Engine } from "@tensorar/training";
import * as tf from "@tensorflow/tfjs-core";
import type { InceptionStatistics } from "./inception-statistics";

/** Metrics of generated images against real ones, in features of FID's Inception-v3. */
export interface InceptionMetrics {
  readonly images: { readonly samples: number | undefined; readonly reference: number | undefined };
  readonly fid: number;
  readonly sfid?: number;
  readonly inceptionScore?: number;
  readonly kid?: { readonly mean: number; readonly std: number; readonly subsetSize: number };
  /** Of neighbours k = 3. */
  readonly precision?: number;
  readonly recall?: number;
  /** Of neighbours k = 5. */
  readonly density?: number;
  readonly coverage?: number;
  /** What makes these numbers less than they seem. */
  readonly warnings: readonly string[];
}

/** Those that the literature counts for precision and recall, and for density and coverage. */
export const [NEIGHBOURS, DENSITY_NEIGHBOURS] = [3, 5];
const KID = { subsets: 100, subsetSize: 1000 };
/** What papers measure with. */
const USUAL = 50_000;

/**
 * Everything that two sets' statistics allow.
 * @throws the reason of `signal` where it stops it
 */
export async function compareStatistics(
  samples: InceptionStatistics,
  reference: InceptionStatistics,
  engine: Engine,
  seed: number,
  signal: AbortSignal,
): Promise<InceptionMetrics> {
  const metrics = {
    images: { samples: samples.count, reference: reference.count },
    fid: frechetDistance(samples.pooled, reference.pooled),
    ...(samples.spatial && reference.spatial && { sfid: frechetDistance(samples.spatial, reference.spatial) }),
    ...(samples.score && { inceptionScore: inceptionScoreOf(samples.score) }),
    warnings: [...samples.notes, ...warningsOf(samples, reference)],
  };
  const [fake, real] = [samples.features, reference.features];
  if (!fake || !real) return metrics;
  const subsetSize = Math.min(KID.subsetSize, fake.count, real.count);
  const kid = {
    ...(await unlessStopped(kernelDistanceSteps(real, fake, { ...KID, subsetSize, seed }), signal)),
    subsetSize,
  };
  const products = await rowProducts(engine, fake.dims, signal);
  try {
    const enough = Math.min(fake.count, real.count) > DENSITY_NEIGHBOURS;
    if (!enough) return { ...metrics, kid };
    const { precision, recall } = await manifoldScores(real, fake, { k: NEIGHBOURS, products: products.run });
    const { density, coverage } = await manifoldScores(real, fake, { k: DENSITY_NEIGHBOURS, products: products.run });
    return { ...metrics, kid, precision, recall, density, coverage };
  } finally {
    await products.dispose();
  }
}

function warningsOf(samples: InceptionStatistics, reference: InceptionStatistics): string[] {
  const dims = samples.pooled.mean.length;
  return Object.entries({ samples, reference }).flatMap(([name, { count }]) => {
    if (count === undefined || count >= USUAL) return [];
    const singular = count <= dims ? `; with no more than ${dims} their covariance is singular` : "";
    return [
      `${count} ${name}: FID is larger the fewer images there are, so compare it at equal counts only${singular}`,
    ];
  });
}

/** Lets a signal arrive after each step, and throws its reason. */
async function unlessStopped(steps: Generator<void, Kid>, signal: AbortSignal): Promise<Kid> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await setImmediate();
    signal.throwIfAborted();
  }
}

/** Matrix products on an engine, until `signal` stops them. */
export async function rowProducts(
  engine: Engine,
  dims: number,
  signal: AbortSignal,
): Promise<{ run: RowProducts; dispose(): Promise<void> }> {
  const graph = await engine.prepare(
    ({ a, b }: { a: tf.Tensor2D; b: tf.Tensor2D }) => ({ products: tf.matMul(a, b, false, true) }),
    { a: { dtype: "float32", shape: ["rowsA", dims] }, b: { dtype: "float32", shape: ["rowsB", dims] } },
  );
  return {
    run: async (a, b, { rowsA, rowsB }) => {
      signal.throwIfAborted();
      const feed = (data: Float32Array, rows: number): TensorData => ({ dtype: "float32", shape: [rows, dims], data });
      return (await graph({ a: feed(a, rowsA), b: feed(b, rowsB) })).products.data as Float32Array;
    },
    dispose: () => graph.dispose(),
  };
}
