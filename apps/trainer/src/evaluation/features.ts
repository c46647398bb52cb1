import { createMoments, frechetDistance, precisionRecall } from "@tensorar/metrics";
import type { TokenizerRunner } from "../tokenizer-runner";

export interface ImageSet {
  readonly count: number;
  /** uint8 images of these rows, NHWC */
  read(rows: readonly number[]): Promise<Uint8Array>;
}

export interface Distances {
  /** Fréchet distance in the tokenizer's encoder features. Not FID, which uses Inception's. */
  readonly frechet: number;
  readonly precision: number;
  readonly recall: number;
}

const BATCH = 64;

/** Pooled encoder features of a set, [count, dims]. */
export async function featuresOf(
  set: ImageSet,
  tokenizer: TokenizerRunner,
): Promise<{ data: Float32Array; count: number; dims: number }> {
  const parts: Float32Array[] = [];
  let dims = 0;
  for (let start = 0; start < set.count; start += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, set.count - start) }, (_, i) => start + i);
    const features = await tokenizer.features(await set.read(rows));
    dims = features.dims;
    parts.push(features.data);
  }
  const data = new Float32Array(set.count * dims);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, count: set.count, dims };
}

export type Features = Awaited<ReturnType<typeof featuresOf>>;

/** How far generated images are from real ones, by features of both. */
export function compareFeatures(fake: Features, real: Features): Distances {
  const moments = ({ data, dims }: Features) => {
    const sums = createMoments(dims);
    sums.add(data);
    return sums.result();
  };
  const { precision, recall } = precisionRecall(real, fake, { k: 3 });
  return { frechet: frechetDistance(moments(fake), moments(real)), precision, recall };
}
