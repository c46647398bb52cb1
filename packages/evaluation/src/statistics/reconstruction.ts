import { existsSync } from "node:fs";
import { castTensor } from "@tensorar/checkpoint";
import { type NpzFile, openNpz, writeNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import {
  codebookUsageOf,
  frechetDistance,
  type MeanSums,
  type MomentsResult,
  meanOf,
  mergeCodebookCounts,
  mergeMeans,
  mergeMoments,
} from "@tensorar/metrics";

/** What a tokenizer loses, as means over images. */
export interface Metrics {
  readonly images: number;
  /** dB */
  readonly psnr: number;
  readonly ssim?: number;
  readonly lpips?: number;
  readonly rfid?: number;
  readonly codebook: { readonly used: number; readonly size: number; readonly perplexity: number };
}

/** What determines the metrics of a set of images, and adds up over parts of it. */
export interface ReconstructionSums {
  readonly means: Readonly<Partial<Record<MeanName, MeanSums>> & { psnr: MeanSums }>;
  /** How often each code occurs, [codebookSize]. */
  readonly codes: Float64Array;
  /** Of Inception's pooled features, where they were asked for. */
  readonly moments: Readonly<Record<MomentsName, MomentsResult>> | undefined;
}

const MEANS = ["psnr", "ssim", "lpips"] as const;
type MeanName = (typeof MEANS)[number];
const MOMENTS = ["originals", "reconstructions"] as const;
type MomentsName = (typeof MOMENTS)[number];

/** The metrics that sums give. */
export function metricsOf({ means, codes, moments }: ReconstructionSums): Metrics {
  const { psnr, ssim, lpips } = means;
  return {
    images: psnr.count,
    psnr: meanOf(psnr),
    ...(ssim && { ssim: meanOf(ssim) }),
    ...(lpips && { lpips: meanOf(lpips) }),
    ...(moments && { rfid: frechetDistance(moments.originals, moments.reconstructions) }),
    codebook: { size: codes.length, ...codebookUsageOf(codes) },
  };
}

/** Writes sums as `.npz`: the number of images, sums by measure, counts of codes, means and covariances. */
export async function writeSums(path: string, { means, codes, moments }: ReconstructionSums): Promise<void> {
  const float64 = (data: Float64Array, ...shape: number[]) => ({ dtype: "float64" as const, shape, data });
  await writeNpz(path, {
    count: { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(means.psnr.count)) },
    ...Object.fromEntries(Object.entries(means).map(([name, { sum }]) => [name, float64(Float64Array.of(sum))])),
    codes: float64(codes, codes.length),
    ...(moments &&
      Object.fromEntries(
        MOMENTS.flatMap((name) => {
          const { mean, covariance } = moments[name];
          const { length } = mean;
          return [
            [`mu_${name}`, float64(mean, length)],
            [`sigma_${name}`, float64(covariance, length, length)],
          ];
        }),
      )),
  });
}

/** @throws TensorARError for a file that holds no sums of reconstructions */
export async function readSums(path: string): Promise<ReconstructionSums> {
  const remedy = "name folders that `tensorar reconstruct` wrote";
  if (!existsSync(path)) throw new TensorARError(`${path}: there is no such file; ${remedy}`);
  const file = await openNpz(path);
  try {
    const missing = ["count", "psnr", "codes"].find((name) => !file.names.includes(name));
    if (missing !== undefined) throw new TensorARError(`${path}: holds no ${missing}; ${remedy}`);
    const count = Number((await values(file, "count"))[0]);
    const means: Partial<Record<MeanName, MeanSums>> = {};
    for (const name of MEANS)
      if (file.names.includes(name)) means[name] = { count, sum: (await values(file, name))[0]! };
    const of = async (name: MomentsName): Promise<MomentsResult> => ({
      count,
      mean: await values(file, `mu_${name}`),
      covariance: await values(file, `sigma_${name}`),
    });
    const moments = file.names.includes("mu_originals")
      ? { originals: await of("originals"), reconstructions: await of("reconstructions") }
      : undefined;
    return { means: means as ReconstructionSums["means"], codes: await values(file, "codes"), moments };
  } finally {
    await file.close();
  }
}

const values = async (file: NpzFile, name: string): Promise<Float64Array> =>
  castTensor(await file.read(name), "float64").data as Float64Array;

/**
 * Sums of all images from those of parts.
 * @param paths files of the parts
 * @throws TensorARError for a file that is named twice, and parts that do not have the same metrics
 */
export async function mergeSums(paths: readonly string[]): Promise<ReconstructionSums> {
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined) throw new TensorARError(`${twice} is named twice; name each part once`);
  const parts: ReconstructionSums[] = [];
  for (const path of paths) {
    const part = await readSums(path);
    const [first = part] = parts;
    const named = (sums: ReconstructionSums) =>
      [...Object.keys(sums.means), ...(sums.moments ? ["rfid"] : [])].join(", ");
    if (named(part) !== named(first))
      throw new TensorARError(`${path} has ${named(part)}, ${paths[0]} ${named(first)}; measure all parts alike`);
    if (part.codes.length !== first.codes.length)
      throw new TensorARError(
        `${path} is of ${part.codes.length} codes, ${paths[0]} of ${first.codes.length}; merge parts of one tokenizer`,
      );
    parts.push(part);
  }
  const [{ means, moments }] = parts as [ReconstructionSums];
  const names = Object.keys(means) as MeanName[];
  const mergedMean = (name: MeanName) => mergeMeans(parts.map((part) => part.means[name]!));
  const mergedMoments = (name: MomentsName) => mergeMoments(parts.map((part) => part.moments![name]));
  return {
    means: {
      psnr: mergedMean("psnr"),
      ...(names.includes("ssim") && { ssim: mergedMean("ssim") }),
      ...(names.includes("lpips") && { lpips: mergedMean("lpips") }),
    },
    codes: mergeCodebookCounts(parts.map(({ codes }) => codes)),
    moments: moments && {
      originals: mergedMoments("originals"),
      reconstructions: mergedMoments("reconstructions"),
    },
  };
}
