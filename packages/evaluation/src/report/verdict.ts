export interface Outcome {
  readonly name: string;
  readonly frechet: number;
}

const percent = (ratio: number): string => `${Math.abs((ratio - 1) * 100).toFixed(0)} %`;

/** What the comparison says, in words, with the losses said as plainly as the gains. */
export function verdict(base: Outcome, others: readonly Outcome[]): string[] {
  return others.map(({ name, frechet }) => {
    const ratio = frechet / base.frechet;
    if (Math.abs(ratio - 1) < 0.03)
      return `${name} equals ${base.name} within 3 % (Fréchet distance ${frechet.toFixed(2)} and ${base.frechet.toFixed(2)}).`;
    return ratio < 1
      ? `${name} is closer to the real images than ${base.name}: Fréchet distance ${frechet.toFixed(2)} instead of ${base.frechet.toFixed(2)}, ${percent(ratio)} less.`
      : `${name} loses to ${base.name}: Fréchet distance ${frechet.toFixed(2)} instead of ${base.frechet.toFixed(2)}, ${percent(ratio)} more.`;
  });
}
