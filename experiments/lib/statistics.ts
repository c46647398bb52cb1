/** A mean over seeds; its standard error is undefined for a single one. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number | undefined;
}

export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, standardError: undefined };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, standardError: Math.sqrt(variance / n) };
}

/** What differences of pairs, one a seed, say: less, more, or nothing within two standard errors. Two seeds say nothing yet. */
export function verdictOf(differences: readonly number[]): "less" | "more" | "no difference seen" {
  const { mean, standardError } = estimate(differences);
  if (standardError === undefined || differences.length < 3) return "no difference seen";
  if (Math.abs(mean) <= 2 * standardError) return "no difference seen";
  return mean < 0 ? "less" : "more";
}
