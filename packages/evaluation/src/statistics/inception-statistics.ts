import { noProgress, type StartProgress, TensorARError } from "@tensorar/core";
import type { ImageStream } from "@tensorar/data";
import {
  createInceptionScore,
  createMoments,
  type FeatureSet,
  type Gaussian,
  type InceptionScoreSums,
  type Moments,
  softmax,
} from "@tensorar/metrics";
import type { InceptionRunner } from "./inception-runner";

/** What a set of images is reduced to. */
export interface InceptionStatistics {
  /** Undefined for statistics of unknown origin. */
  readonly count: number | undefined;
  readonly pooled: Gaussian;
  readonly spatial: Gaussian | undefined;
  /** Sums of the Inception Score; undefined where a file holds none. */
  readonly score: InceptionScoreSums | undefined;
  /** Pooled features of the first images; undefined where a file holds none. */
  readonly features: FeatureSet | undefined;
  /** What is missing, and why. */
  readonly notes: readonly string[];
}

const CLASSES = 1008;
/** Images a chunk of the Inception Score, as in openai/guided-diffusion. */
const SPLIT = 5000;

/** How statistics are gathered. */
export interface GatherOptions {
  readonly batchSize: number;
  /** Features of at most this many images are kept, for metrics that compare neighbours. */
  readonly kept: number;
  /** Which image of the whole the first one is, where these are a part. */
  readonly first: number;
  readonly signal: AbortSignal;
  readonly progress?: StartProgress;
}

/**
 * Statistics of images, which pass through once.
 * @throws TensorARError for fewer than 2 images
 */
export async function gatherStatistics(
  title: string,
  images: ImageStream,
  inception: InceptionRunner,
  { batchSize, kept, first, signal, progress: start = noProgress }: GatherOptions,
): Promise<InceptionStatistics> {
  let [pooled, spatial]: [Moments | undefined, Moments | undefined] = [undefined, undefined];
  const features: Float32Array[] = [];
  const score = createInceptionScore({ classes: CLASSES, splitSize: SPLIT, first });
  let count = 0;
  const progress = start(title, images.count, "images");
  for await (const batch of images.batches(batchSize)) {
    signal.throwIfAborted();
    const outputs = await inception.run(batch);
    pooled ??= createMoments(outputs.pooled.length / batch.count);
    spatial ??= createMoments(outputs.spatial.length / batch.count);
    pooled.add(outputs.pooled);
    spatial.add(outputs.spatial);
    score.add(softmax(outputs.logits, CLASSES));
    if (count < kept) features.push(outputs.pooled.slice(0, (kept - count) * pooled.dims));
    count += batch.count;
    progress.update(count);
  }
  progress.stop();
  if (!pooled || !spatial || count < 2)
    throw new TensorARError(`${title}: ${count} images have no covariance; give at least 2`);
  return {
    count,
    pooled: pooled.result(),
    spatial: spatial.result(),
    score: score.sums(),
    notes: [],
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
