import type { Categorical } from "@tensorar/sampler";

/** How far predictions are from those of a reference. */
export interface LogitGap {
  readonly predictions: number;
  /** Largest |logit − reference's|. */
  readonly maxAbsError: number;
  /** Mean KL(reference ‖ this) in nats, of distributions at temperature 1. */
  readonly kl: number;
  /** Fraction of predictions with the same top-1 code. */
  readonly sameTop1: number;
  /** Fraction of predictions from which the same random number draws the same code, at temperature 1. */
  readonly sameDrawn: number;
}

/** Collects predictions one by one. */
export function logitGap() {
  const sum = { predictions: 0, maxAbsError: 0, kl: 0, argmax: 0, drawn: 0 };
  const all = { temperature: 1, topK: 0, topP: 1 };
  return {
    /** Compares one row of logits. @param categorical for as many codes @param where whose row it is, for errors */
    add(categorical: Categorical, expected: Float32Array, actual: Float32Array, uniform: number, where: string): void {
      const draw = (logits: Float32Array) => categorical.sample(logits, 0, all, uniform, where);
      if (draw(expected) === draw(actual)) sum.drawn++;
      const reference = categorical.weights(expected, 0, all, where);
      const weights = reference.weights.slice(); // the next call overwrites them
      const { total } = categorical.weights(actual, 0, all, where);
      const [most, mostActual] = [argmax(expected), argmax(actual)];
      if (most === mostActual) sum.argmax++;
      // log p − log q, from logits less the largest, so that nothing is the logarithm of 0.
      const norms = Math.log(total) - Math.log(reference.total) + actual[mostActual]! - expected[most]!;
      for (const [code, weight] of weights.entries()) {
        const difference = expected[code]! - actual[code]!;
        sum.maxAbsError = Math.max(sum.maxAbsError, Math.abs(difference));
        sum.kl += (weight / reference.total) * (difference + norms);
      }
      sum.predictions++;
    },
    /** Counts a row that is no distribution, such as one of NaN: the mean is none then either. */
    addNothing(): void {
      sum.maxAbsError = Number.NaN;
      sum.kl = Number.NaN;
      sum.predictions++;
    },
    result(): LogitGap {
      const { predictions, maxAbsError } = sum;
      const fraction = (count: number) => count / predictions;
      return {
        predictions,
        maxAbsError,
        kl: Math.max(0, fraction(sum.kl)),
        sameTop1: fraction(sum.argmax),
        sameDrawn: fraction(sum.drawn),
      };
    },
  };
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let code = 1; code < logits.length; code++) if (logits[code]! > logits[best]!) best = code;
  return best;
}
