import { castTensor } from "@tensorar/checkpoint";
import { type NpzFile, openNpz, writeNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import {
  type FeatureSet,
  type Gaussian,
  type InceptionScoreSums,
  mergeFeatures,
  mergeInceptionScores,
  mergeMoments,
} from "@tensorar/metrics";
import type { InceptionStatistics } from "./inception-statistics";

/**
 * Arrays of ours beside `mu`, `sigma`, `mu_s` and `sigma_s`, which files of other projects do not hold. Of the Inception Score:
 * the image that it begins with and the images of a chunk, and by chunk how many images there are, `Σ p` and `Σ Σ p log p`.
 */
const COUNT = "count";
const FEATURES = "features";
const SCORE = {
  place: "score_place",
  counts: "score_counts",
  marginals: "score_marginals",
  logs: "score_logs",
} as const;

/**
 * Statistics from a file: `mu` and `sigma` of pytorch-fid, with `mu_s` and `sigma_s` also those of openai/guided-diffusion, and
 * what {@link writeStatistics} adds. Undefined when the file holds none.
 * @throws TensorARError when sizes do not fit
 */
export async function readStatistics(path: string): Promise<InceptionStatistics | undefined> {
  const file = await openNpz(path);
  try {
    const pooled = await gaussian(path, file, "mu", "sigma");
    if (!pooled) return undefined;
    const spatial = await gaussian(path, file, "mu_s", "sigma_s");
    const count = file.names.includes(COUNT) ? (await numbers(path, file, COUNT))[0] : undefined;
    const score = await scoreSums(path, file);
    return { count, pooled, spatial, score, features: await featuresOf(path, file), notes: [] };
  } finally {
    await file.close();
  }
}

async function gaussian(path: string, file: NpzFile, mu: string, sigma: string): Promise<Gaussian | undefined> {
  if (!file.names.includes(mu) || !file.names.includes(sigma)) return undefined;
  const [mean, covariance] = [file.info(mu).shape, file.info(sigma).shape]; // before they are read: they can be large
  const dims = mean[0];
  if (mean.length !== 1 || covariance.join() !== [dims, dims].join())
    throw new TensorARError(`${path}: ${mu} [${mean}] and ${sigma} [${covariance}] do not fit; fetch it again`);
  return { mean: await numbers(path, file, mu), covariance: await numbers(path, file, sigma) };
}

/** An array as float64, whatever numbers it holds. @throws TensorARError for one that is not finite */
async function numbers(path: string, file: NpzFile, name: string): Promise<Float64Array> {
  const { data } = castTensor(await file.read(name), "float64");
  const at = (data as Float64Array).findIndex((value) => !Number.isFinite(value));
  if (at < 0) return data as Float64Array;
  throw new TensorARError(`${path}: element ${at} of ${name} is ${data[at]}; compute the statistics again`);
}

async function scoreSums(path: string, file: NpzFile): Promise<InceptionScoreSums | undefined> {
  if (!Object.values(SCORE).every((name) => file.names.includes(name))) return undefined;
  const read = (name: string) => numbers(path, file, name);
  const [first = -1, splitSize = 0] = await read(SCORE.place);
  const [counts, marginals, logs] = [await read(SCORE.counts), await read(SCORE.marginals), await read(SCORE.logs)];
  const classes = marginals.length / counts.length;
  if (logs.length !== counts.length || !Number.isInteger(classes) || first < 0 || splitSize < 1)
    throw new TensorARError(
      `${path}: ${SCORE.counts} [${counts.length}], ${SCORE.marginals} [${marginals.length}] and ${SCORE.logs} [${logs.length}] do not fit; compute it again`,
    );
  return { classes, splitSize, first, counts, marginals, logs };
}

async function featuresOf(path: string, file: NpzFile): Promise<FeatureSet | undefined> {
  if (!file.names.includes(FEATURES)) return undefined;
  const { data, shape, dtype } = await file.read(FEATURES);
  if (shape.length !== 2 || dtype !== "float32")
    throw new TensorARError(
      `${path}: ${FEATURES} is ${dtype} [${shape}], not float32 [images, dims]; compute it again`,
    );
  return { data: data as Float32Array, count: shape[0]!, dims: shape[1]! };
}

/**
 * Statistics of the images of several files together, in order, as computed on several machines.
 * @param kept at most so many features
 * @throws TensorARError for files that hold no statistics, or do not say of how many images
 */
export async function mergeStatistics(paths: readonly string[], kept: number): Promise<InceptionStatistics> {
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined) throw new TensorARError(`${twice} is named twice; name each file of statistics once`);
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
  if (parts.length === 1) return { ...first, features: first.features && mergeFeatures([first.features], kept) };
  const merged = (of: (part: InceptionStatistics) => Gaussian) =>
    mergeMoments(parts.map((part) => ({ ...of(part), count: part.count! })));
  const pooled = merged((part) => part.pooled);
  const spatial = parts.every((part) => part.spatial) ? merged((part) => part.spatial!) : undefined;
  const { score, notes } = mergedScore(paths, parts);
  const features = firstFeatures(paths, parts, kept);
  return { count: pooled.count, pooled, spatial, score, features: features.set, notes: [...notes, ...features.notes] };
}

/** Files whose parts do not fit lack only this score, and say why. */
function mergedScore(paths: readonly string[], parts: readonly InceptionStatistics[]) {
  const without = parts.findIndex(({ score }) => score === undefined);
  if (without >= 0)
    return { score: undefined, notes: [`no Inception Score: ${paths[without]} was written without its sums`] };
  try {
    return { score: mergeInceptionScores(parts.map(({ score }) => score!)), notes: [] };
  } catch (cause) {
    if (!(cause instanceof TensorARError)) throw cause;
    const remedy = "tell each part the number of its first image with --first-image";
    return { score: undefined, notes: [`no Inception Score: ${(cause as Error).message} (${remedy})`] };
  }
}

/** Features of the first images of the whole: up to the first part that did not keep those of all its images. */
function firstFeatures(paths: readonly string[], parts: readonly InceptionStatistics[], kept: number) {
  const short = parts.findIndex(({ features, count }) => (features?.count ?? 0) < count!);
  const held = (short < 0 ? parts : parts.slice(0, short + 1)).flatMap(({ features }) => features ?? []);
  const set = held.length === 0 ? undefined : mergeFeatures(held, kept);
  const enough = short < 0 || (set?.count ?? 0) === kept;
  const found = `${paths[short]} keeps features of ${parts[short]?.features?.count ?? 0} of its ${parts[short]?.count} images`;
  const meant = `KID and metrics of neighbours see the first ${set?.count ?? 0} images`;
  return { set, notes: enough ? [] : [`${found}: ${meant}`] };
}

/** Writes statistics as `.npz`, which both projects read. */
export async function writeStatistics(path: string, statistics: InceptionStatistics): Promise<void> {
  const { count, pooled, spatial, score, features } = statistics;
  const float64 = (data: Float64Array, ...shape: number[]) => ({ dtype: "float64" as const, shape, data });
  const int64 = (shape: number[], ...values: number[]) => ({
    dtype: "int64" as const,
    shape,
    data: BigInt64Array.from(values, BigInt),
  });
  const arrays = (mu: string, sigma: string, { mean, covariance }: Gaussian) => ({
    [mu]: float64(mean, mean.length),
    [sigma]: float64(covariance, mean.length, mean.length),
  });
  await writeNpz(path, {
    ...arrays("mu", "sigma", pooled),
    ...(spatial && arrays("mu_s", "sigma_s", spatial)),
    ...(count !== undefined && { [COUNT]: int64([], count) }),
    ...(score && {
      [SCORE.place]: int64([2], score.first, score.splitSize),
      [SCORE.counts]: float64(score.counts, score.counts.length),
      [SCORE.marginals]: float64(score.marginals, score.counts.length, score.classes),
      [SCORE.logs]: float64(score.logs, score.logs.length),
    }),
    ...(features && {
      [FEATURES]: {
        dtype: "float32" as const,
        shape: [features.count, features.dims],
        data: features.data as Float32Array,
      },
    }),
  });
}
