import { type NpzFile, openNpz, writeNpz } from "@tensorar/checkpoint/node";
import {
  createMoments,
  type FeatureSet,
  type Gaussian,
  inceptionScore,
  type Moments,
  mergeMoments,
  softmax,
} from "@tensorar/metrics";
import { TensorARError } from "../errors";
import { startProgress } from "../progress";
import type { ImageStream } from "./image-stream";
import type { InceptionRunner } from "./inception-runner";

/** What a set of images is reduced to. */
export interface InceptionStatistics {
  /** Undefined for statistics of unknown origin. */
  readonly count: number | undefined;
  readonly pooled: Gaussian;
  readonly spatial: Gaussian | undefined;
  readonly inceptionScore: number | undefined;
  /** Pooled features of the first images; undefined for statistics from a file. */
  readonly features: FeatureSet | undefined;
}

const CLASSES = 1008;
/** Images a chunk of the Inception Score, as in openai/guided-diffusion. */
const SPLIT = 5000;

/**
 * Statistics of images, which pass through once.
 * @param kept features of at most this many images are kept, for measures that compare neighbours
 * @throws TensorARError for fewer than 2 images
 */
export async function gatherStatistics(
  title: string,
  images: ImageStream,
  inception: InceptionRunner,
  { batchSize, kept, signal }: { readonly batchSize: number; readonly kept: number; readonly signal: AbortSignal },
): Promise<InceptionStatistics> {
  let [pooled, spatial]: [Moments | undefined, Moments | undefined] = [undefined, undefined];
  const features: Float32Array[] = [];
  const scores: number[] = [];
  let logits: Float32Array[] = [];
  let [count, waiting] = [0, 0];
  const score = () => {
    const probabilities = softmax(joined(logits), CLASSES);
    scores.push(inceptionScore(probabilities, { classes: CLASSES, splitSize: waiting }));
    [logits, waiting] = [[], 0];
  };
  const progress = images.count === undefined ? undefined : startProgress(title, images.count);
  for await (const batch of images.batches(batchSize)) {
    if (signal.aborted) throw new TensorARError("stopped; nothing was written");
    const outputs = await inception.run(batch);
    pooled ??= createMoments(outputs.pooled.length / batch.count);
    spatial ??= createMoments(outputs.spatial.length / batch.count);
    pooled.add(outputs.pooled);
    spatial.add(outputs.spatial);
    if (count < kept) features.push(outputs.pooled.slice(0, (kept - count) * pooled.dims));
    for (let at = 0; at < batch.count; ) {
      const held = Math.min(batch.count - at, SPLIT - waiting);
      logits.push(outputs.logits.slice(at * CLASSES, (at + held) * CLASSES));
      waiting += held;
      at += held;
      if (waiting === SPLIT) score();
    }
    count += batch.count;
    progress?.update(count);
  }
  progress?.stop();
  if (!pooled || !spatial || count < 2)
    throw new TensorARError(`${title}: ${count} images have no covariance; give at least 2`);
  if (waiting > 0) score();
  return {
    count,
    pooled: pooled.result(),
    spatial: spatial.result(),
    inceptionScore: scores.reduce((sum, value) => sum + value, 0) / scores.length,
    features: { data: joined(features), count: Math.min(count, kept), dims: pooled.dims },
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Statistics from a file: `mu` and `sigma` of pytorch-fid, with `mu_s` and `sigma_s` also those of openai/guided-diffusion.
 * Undefined when the file holds none.
 * @throws TensorARError when sizes do not fit
 */
export async function readStatistics(path: string): Promise<InceptionStatistics | undefined> {
  const file = await openNpz(path);
  try {
    const pooled = await gaussian(path, file, "mu", "sigma");
    const spatial = await gaussian(path, file, "mu_s", "sigma_s");
    const count = file.names.includes(COUNT) ? Number((await file.read(COUNT)).data[0]) : undefined;
    return pooled && { count, pooled, spatial, inceptionScore: undefined, features: undefined };
  } finally {
    await file.close();
  }
}

async function gaussian(path: string, file: NpzFile, mu: string, sigma: string): Promise<Gaussian | undefined> {
  if (!file.names.includes(mu) || !file.names.includes(sigma)) return undefined;
  const [mean, covariance] = [await file.read(mu), await file.read(sigma)];
  const dims = mean.shape[0];
  if (mean.shape.length !== 1 || covariance.shape.join() !== [dims, dims].join())
    throw new TensorARError(
      `${path}: ${mu} [${mean.shape}] and ${sigma} [${covariance.shape}] do not fit; fetch it again`,
    );
  return {
    mean: Float64Array.from(mean.data as Float64Array),
    covariance: Float64Array.from(covariance.data as Float64Array),
  };
}

/** Name of the number of images, which files of other projects do not hold. */
const COUNT = "count";

/**
 * Statistics of the images of several files together, as computed on several machines.
 * @throws TensorARError for files that hold no statistics, or do not say of how many images
 */
export async function mergeStatistics(paths: readonly string[]): Promise<InceptionStatistics> {
  const parts = await Promise.all(
    paths.map(async (path) => {
      const part = path.endsWith(".npz") ? await readStatistics(path) : undefined;
      if (part === undefined)
        throw new TensorARError(`${path}: holds no statistics; write them with --save-statistics`);
      if (part.count === undefined && paths.length > 1)
        throw new TensorARError(
          `${path}: does not say of how many images it is, so it can't be merged; compute it again`,
        );
      return part;
    }),
  );
  const [first] = parts as [InceptionStatistics];
  if (parts.length === 1) return first;
  const merged = (of: (part: InceptionStatistics) => Gaussian) =>
    mergeMoments(parts.map((part) => ({ ...of(part), count: part.count! })));
  const pooled = merged((part) => part.pooled);
  const spatial = parts.every((part) => part.spatial) ? merged((part) => part.spatial!) : undefined;
  return { count: pooled.count, pooled, spatial, inceptionScore: undefined, features: undefined };
}

/** Writes statistics as `.npz`, which both projects read. */
export async function writeStatistics(path: string, { count, pooled, spatial }: InceptionStatistics): Promise<void> {
  const arrays = (mu: string, sigma: string, { mean, covariance }: Gaussian) => ({
    [mu]: { dtype: "float64" as const, shape: [mean.length], data: mean },
    [sigma]: { dtype: "float64" as const, shape: [mean.length, mean.length], data: covariance },
  });
  await writeNpz(path, {
    ...arrays("mu", "sigma", pooled),
    ...(spatial && arrays("mu_s", "sigma_s", spatial)),
    ...(count !== undefined && { [COUNT]: { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(count)) } }),
  });
}
