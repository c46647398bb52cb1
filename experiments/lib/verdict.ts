import { estimate } from "@tensorar/metrics";

/** Fewer seeds decide nothing. */
const FEWEST_SEEDS = 3;

/** What differences of pairs, one a seed, say: a difference counts beyond two standard errors. */
export function verdictOf(differences: readonly number[]): "less" | "more" | "no difference seen" | "undecided" {
  if (differences.length < FEWEST_SEEDS) return "undecided";
  const { mean, standardError } = estimate(differences);
  if (Math.abs(mean) <= 2 * standardError!) return "no difference seen";
  return mean < 0 ? "less" : "more";
}
