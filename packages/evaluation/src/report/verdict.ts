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
    const error = errorOfDifference(base.parts, other.parts);
    if (error === undefined)
      return `${other.name} and ${base.name}: ${distances}. Without parts of samples to tell chance from difference this says nothing; evaluate again.`;
    const difference = mean(other.parts!) - mean(base.parts!);
    const of = `parts of the samples differ by ${difference.toFixed(2)} ± ${error.toFixed(2)}`;
    if (Math.abs(difference) <= 2 * error)
      return `No difference seen between ${other.name} and ${base.name}: ${distances}; ${of}.`;
    return difference < 0
      ? `${other.name} is closer to the real images than ${base.name}: ${distances}; ${of}.`
      : `${other.name} loses to ${base.name}: ${distances}; ${of}.`;
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard error of the difference of two means; undefined without two parts each. */
function errorOfDifference(a: readonly number[] = [], b: readonly number[] = []): number | undefined {
  if (a.length < 2 || b.length < 2) return undefined;
  const squared = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1) / values.length;
  return Math.sqrt(squared(a) + squared(b));
}
