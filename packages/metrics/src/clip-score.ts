import { TensorARError } from "@tensorar/core";
import { checkPair, type FeatureSet } from "./feature-set";

/**
 * CLIP score: the mean of `100 · max(cos(image, text), 0)` over pairs of embeddings, in 0 … 100.
 * Source: Hessel et al. 2021, whose own factor is 2.5; 100 is what text-to-image papers and torchmetrics report.
 *
 * @param images embeddings, one row an image
 * @param texts embeddings of their captions, in the same order
 * @throws TensorARError where counts or widths differ, and for embeddings of length 0
 */
export function clipScore(images: FeatureSet, texts: FeatureSet): number {
  const scores = clipScores(images, texts);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/**
 * {@link clipScore} of each pair, `[count]`, for means over parts (`createMean`).
 * @throws TensorARError as clipScore
 */
export function clipScores(images: FeatureSet, texts: FeatureSet): Float64Array {
  checkPair("clipScore", images, texts, 1);
  if (images.count !== texts.count)
    throw new TensorARError(`clipScore: ${images.count} images for ${texts.count} captions; pass one caption each`);
  const { count, dims } = images;
  return Float64Array.from({ length: count }, (_, row) => {
    let [dot, a, b] = [0, 0, 0];
    for (let at = row * dims; at < (row + 1) * dims; at++) {
      dot += images.data[at]! * texts.data[at]!;
      a += images.data[at]! ** 2;
      b += texts.data[at]! ** 2;
    }
    if (a === 0 || b === 0) throw new TensorARError(`clipScore: embedding ${row} has length 0; check its network`);
    return 100 * Math.max(0, dot / Math.sqrt(a * b));
  });
}
