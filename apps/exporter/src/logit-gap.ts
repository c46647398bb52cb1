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

/** Every code, at temperature 1. */
const ALL = { temperature: 1, topK: 0, topP: 1 };

/** Collects predictions one by one. */
export function logitGap() {
  const sum = { predictions: 0, maxAbsError: 0, kl: 0, argmax: 0, drawn: 0 };
  return {
    /** Compares one row of logits. @param categorical for as many codes @param where whose row it is, for errors */
    add(categorical: Categorical, expected: Float32Array, actual: Float32Array, uniform: number, where: string): void {
      const draw = (logits: Float32Array) => categorical.sample(logits, 0, ALL, uniform, where);
      if (draw(expected) === draw(actual)) sum.drawn++;
      if (argmax(expected) === argmax(actual)) sum.argmax++;
      for (const [code, logit] of expected.entries())
        sum.maxAbsError = Math.max(sum.maxAbsError, Math.abs(logit - actual[code]!));
      sum.kl += divergence(categorical, expected, actual, where);
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

/** KL(expected ‖ actual) in nats. */
function divergence(categorical: Categorical, expected: Float32Array, actual: Float32Array, where: string): number {
  const reference = categorical.weights(expected, 0, ALL, where);
  const weights = reference.weights.slice(); // the next call overwrites them
  const { total } = categorical.weights(actual, 0, ALL, where);
  // log p − log q, from logits less the largest, so that nothing is the logarithm of 0.
  const largest = actual[argmax(actual)]! - expected[argmax(expected)]!;
  const norms = Math.log(total) - Math.log(reference.total) + largest;
  let kl = 0;
  for (const [code, weight] of weights.entries())
    kl += (weight / reference.total) * (expected[code]! - actual[code]! + norms);
  return kl;
}

function argmax(logits: Float32Array): number {
  let best = 0;
  for (let code = 1; code < logits.length; code++) if (logits[code]! > logits[best]!) best = code;
  return best;
}
