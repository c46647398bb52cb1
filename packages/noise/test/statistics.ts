/** Pearson's χ² of counts against equal expectations. */
export function chiSquareUniform(counts: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  const expected = total / counts.length;
  return Array.from(counts).reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/**
 * Values that χ² of n degrees of freedom exceeds with probability 1e-6, from scipy.stats.chi2.isf(1e-6, n). The seeds
 * of the tests are fixed, so a test that passes once passes always; the probability says how unlucky a seed would be.
 */
export const CHI_SQUARE_CRITICAL: Readonly<Record<number, number>> = {
  15: 56.49344249977338,
  16: 58.3243900143889,
  23: 70.54955713688595,
  99: 180.79201532589974,
  511: 677.599720283926,
};

/** Correlation of two equally long series. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  if (n === 0 || b.length !== n) throw new Error(`correlation of ${n} and ${b.length} values`);
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / n;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [da, db] = [a[i]! - meanA, b[i]! - meanB];
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return ab / Math.sqrt(aa * bb);
}
