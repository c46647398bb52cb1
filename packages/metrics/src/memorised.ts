import { requireOptions, TensorARError } from "@tensorar/core";
import { centred, distancesByRow, exactSquared, meanRow, type RowProducts } from "./distances";
import { checkPair, type FeatureSet } from "./feature-set";

/** What computes products, and how near is too near. */
export interface MemorisedOptions {
  readonly products: RowProducts;
  /** Fraction of the held-out images that count as copies, in [0, 1); default 0.01. */
  readonly quantile?: number;
}

/**
 * Fraction of generated images that lie nearer to a training image than new images do: nearer than all but `quantile` of the held-out
 * ones. It is about `quantile` for a model that makes new images, and 1 for one that repeats those it was trained on.
 *
 * @throws TensorARError where widths differ, a set is empty, values are not finite, or the quantile is none
 */
export async function memorisedFraction(
  sets: { readonly fake: FeatureSet; readonly training: FeatureSet; readonly heldOut: FeatureSet },
  options: MemorisedOptions,
): Promise<number> {
  requireOptions("memorisedFraction", options, ["products"]);
  const { products, quantile = 0.01 } = options;
  const { fake, training, heldOut } = sets;
  if (!(quantile >= 0 && quantile < 1))
    throw new TensorARError(`memorisedFraction: quantile = ${quantile}; it lies in [0, 1)`);
  checkPair("memorisedFraction", training, fake);
  checkPair("memorisedFraction", training, heldOut);
  const usual = (await nearestSquared(heldOut, training, products)).sort();
  const threshold = usual[Math.floor(quantile * usual.length)]!;
  const distances = await nearestSquared(fake, training, products);
  return distances.filter((distance) => distance < threshold).length / distances.length;
}

/** Squared distance of every row of `from` to the nearest row of `to`. */
async function nearestSquared(from: FeatureSet, to: FeatureSet, products: RowProducts): Promise<Float64Array> {
  const mean = meanRow(to);
  const [a, b] = [centred(from, mean), centred(to, mean)];
  const nearest = new Float64Array(from.count).fill(Number.POSITIVE_INFINITY);
  for await (const { i, squared, error } of distancesByRow(a, b, products)) {
    // No row is nearer than the smallest lower bound, so only rows whose own lower bound is below the best so far are computed again.
    for (let j = 0; j < squared.length; j++)
      if (squared[j]! - error[j]! < nearest[i]!) nearest[i] = Math.min(nearest[i]!, exactSquared(a, i, b, j));
  }
  return nearest;
}
