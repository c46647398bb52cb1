import { createStream } from "@tensorar/noise";
import type { Decoder } from "../src";

/** A distribution over all images of T tokens, small enough to enumerate. */
export interface Enumerable {
  readonly tokens: number;
  readonly vocabSize: number;
  /** Every image with its probability. */
  readonly images: readonly { readonly codes: readonly number[]; readonly probability: number }[];
}

/** Random probabilities, in which tokens depend on each other. */
export function randomDistribution(tokens: number, vocabSize: number, seed: number): Enumerable {
  const random = createStream(seed, "distribution");
  const all = Array.from({ length: vocabSize ** tokens }, (_, number) => ({
    codes: Array.from({ length: tokens }, (_, token) => Math.floor(number / vocabSize ** token) % vocabSize),
    weight: Math.exp(1.2 * random.normal()),
  }));
  const total = all.reduce((sum, { weight }) => sum + weight, 0);
  return { tokens, vocabSize, images: all.map(({ codes, weight }) => ({ codes, probability: weight / total })) };
}

/**
 * What a perfectly trained model of this distribution predicts: posteriors given the final tokens and, for evidence, every view that
 * it was shown, each with the likelihood that noised training gives it. Chained, entries are given those drawn before them in the same
 * step; otherwise they know nothing of each other, as heads that are independent.
 */
export function exactDecoder(
  { tokens: T, vocabSize: V, images }: Enumerable,
  { rates, chained }: { readonly rates: readonly number[]; readonly chained: boolean },
): Decoder {
  const k = rates.length;
  const likelihood = (depth: number, view: number, code: number) =>
    (view === code ? 1 - rates[depth]! : 0) + rates[depth]! / V;

  /** Log probabilities of a token given the images' weights; 0 past the end. */
  const marginal = (weights: readonly number[], token: number): Float32Array => {
    if (token >= T) return new Float32Array(V);
    const sums = new Float64Array(V);
    for (const [i, { codes }] of images.entries()) sums[codes[token]!]! += weights[i]!;
    return Float32Array.from(sums, Math.log);
  };
  const given = (weights: readonly number[], token: number, code: number) =>
    weights.map((weight, i) => (images[i]!.codes[token] === code ? weight : 0));

  return {
    tokens: T,
    windowSize: k,
    vocabSize: V,
    chained,
    unconditional: () => 0,
    start(conditions) {
      const R = conditions.length;
      let position = -1; // of the last step
      const posteriors = Array.from(conditions, () => images.map(({ probability }) => probability));

      const show = (row: number, window: Int32Array) => {
        for (const [depth, code] of window.entries()) {
          const token = position - 1 + depth;
          if (token >= T) continue;
          posteriors[row] = posteriors[row]!.map((weight, i) => {
            const own = images[i]!.codes[token]!;
            return weight * (depth === 0 ? Number(own === code) : likelihood(depth, code, own));
          });
        }
      };

      return {
        async step(windows) {
          position++;
          const entries = chained ? 1 : k;
          const logits = new Float32Array(R * entries * V);
          for (let row = 0; row < R; row++) {
            if (position > 0) show(row, windows.subarray(row * k, (row + 1) * k));
            for (let entry = 0; entry < entries; entry++)
              logits.set(marginal(posteriors[row]!, position + entry), (row * entries + entry) * V);
          }
          return logits;
        },
        async nextEntry(known) {
          const logits = new Float32Array(R * V);
          for (let row = 0; row < R; row++) {
            let weights: readonly number[] = posteriors[row]!;
            for (const [entry, codes] of known.entries())
              if (position + entry < T) weights = given(weights, position + entry, codes[row]!);
            logits.set(marginal(weights, position + known.length), row * V);
          }
          return logits;
        },
      };
    },
  };
}
