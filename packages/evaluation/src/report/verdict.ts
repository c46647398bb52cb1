import { estimate } from "@tensorar/metrics";

/** A set of samples against the real images. */
export interface Outcome {
  readonly name: string;
  readonly frechet: number;
  /** Of disjoint parts of the samples, whose spread says what chance does; absent in evaluations of earlier versions. */
  readonly parts?: readonly number[] | undefined;
}

/** What the comparison says, in words: a difference counts beyond two standard errors of the parts' means, anything less is chance. */
export function verdict(base: Outcome, others: readonly Outcome[]): string[] {
  return others.map((other) => {
    const distances = `Fréchet distance ${other.frechet.toFixed(2)} and ${base.frechet.toFixed(2)}`;
    const compared = compare(base.parts, other.parts);
    if (!compared)
      return `${other.name} and ${base.name}: ${distances}. Without parts of samples to tell chance from difference this says nothing; evaluate again.`;
    const { difference, error } = compared;
    const of = `parts of the samples differ by ${difference.toFixed(2)} ± ${error.toFixed(2)}`;
    if (Math.abs(difference) <= 2 * error)
      return `No difference seen between ${other.name} and ${base.name}: ${distances}; ${of}.`;
    return difference < 0
      ? `${other.name} is closer to the real images than ${base.name}: ${distances}; ${of}.`
      : `${other.name} loses to ${base.name}: ${distances}; ${of}.`;
  });
}

/** Undefined without two parts each, which it takes to tell chance from a difference. */
function compare(a: readonly number[] = [], b: readonly number[] = []) {
  if (a.length < 2 || b.length < 2) return undefined;
  const [first, second] = [estimate(a), estimate(b)];
  return { difference: second.mean - first.mean, error: Math.hypot(first.standardError!, second.standardError!) };
}
