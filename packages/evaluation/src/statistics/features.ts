import { TensorARError } from "@tensorar/core";
import type { ImageStream } from "@tensorar/data";
import { createMoments, frechetDistance, manifoldScores } from "@tensorar/metrics";
import type { Engine } from "@tensorar/training";
import type { ImageTokenizer } from "../image-tokenizer";
import { DENSITY_NEIGHBOURS, NEIGHBOURS, rowProducts } from "./compare";

/** How far generated images are from real ones, by features of a tokenizer or of a classifier. */
export interface Distances {
  /** Fréchet distance in these features. Not FID, which uses Inception's. */
  readonly frechet: number;
  /**
   * That of every fourth image from the first, from the second, … on: what chance does to the distance. Each is larger than that of
   * all, since fewer images are further away; absent for very few images.
   */
  readonly frechetParts?: readonly number[];
  /** Of neighbours k = 3. */
  readonly precision: number;
  readonly recall: number;
  /** Of neighbours k = 5; absent for sets of five images or fewer. */
  readonly density?: number;
  readonly coverage?: number;
}

const BATCH = 64;

/**
 * Features of images, [count, dims], as a tokenizer's encoder (pooled) or a classifier sees them.
 * @param name what an error calls the images
 * @throws TensorARError for images of another size than the network's
 */
export async function featuresOf(
  name: string,
  images: ImageStream,
  network: Pick<ImageTokenizer, "features">,
  size: number,
  signal: AbortSignal,
): Promise<{ data: Float32Array; count: number; dims: number }> {
  const parts: Float32Array[] = [];
  let [count, dims] = [0, 0];
  for await (const batch of images.batches(BATCH)) {
    signal.throwIfAborted();
    if (batch.height !== size || batch.width !== size)
      throw new TensorARError(
        `${name} holds images of ${batch.height} x ${batch.width} px, the network takes ${size} px; prepare them with \`tensorar data --size ${size}\``,
        { code: "shape" },
      );
    const features = await network.features(batch.pixels);
    dims = features.dims;
    count += batch.count;
    parts.push(features.data);
  }
  const data = new Float32Array(count * dims);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, count, dims };
}

/** Features of a set of images. */
export type Features = Awaited<ReturnType<typeof featuresOf>>;

/** Parts of a set of samples, and the fewest images of one. */
const [PARTS, LEAST] = [4, 8];

/** Images 0, 4, 8, …; 1, 5, 9, …; and so on. */
function partsOf({ data, count, dims }: Features): Features[] {
  return Array.from({ length: PARTS }, (_, part) => {
    const rows = Array.from({ length: Math.floor(count / PARTS) }, (_, i) => part + i * PARTS);
    const own = new Float32Array(rows.length * dims);
    for (const [i, row] of rows.entries()) own.set(data.subarray(row * dims, (row + 1) * dims), i * dims);
    return { data: own, count: rows.length, dims };
  });
}

/** How far generated images are from real ones, by features of both. @throws the reason of `signal` where it stops it */
export async function compareFeatures(
  fake: Features,
  real: Features,
  engine: Engine,
  signal: AbortSignal,
): Promise<Distances> {
  const moments = ({ data, dims }: Features) => {
    const sums = createMoments(dims);
    sums.add(data);
    return sums.result();
  };
  const products = await rowProducts(engine, real.dims, signal);
  try {
    const { precision, recall } = await manifoldScores(real, fake, { k: NEIGHBOURS, products: products.run });
    const reference = moments(real);
    const distances = {
      frechet: frechetDistance(moments(fake), reference),
      ...(fake.count >= PARTS * LEAST && {
        frechetParts: partsOf(fake).map((part) => frechetDistance(moments(part), reference)),
      }),
      precision,
      recall,
    };
    if (Math.min(fake.count, real.count) <= DENSITY_NEIGHBOURS) return distances;
    const { density, coverage } = await manifoldScores(real, fake, { k: DENSITY_NEIGHBOURS, products: products.run });
    return { ...distances, density, coverage };
  } finally {
    await products.dispose();
  }
}
