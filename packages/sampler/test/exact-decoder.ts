import { createStream } from "@tensorar/noise";
import { createCategorical, type Decoder } from "../src";

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
 * it was shown, each with the likelihood that noised training gives it. Drafts are drawn jointly with the final token: each row is
 * given the tokens drawn before it in the same step, which the decoder knows since it knows the random numbers of `generate`.
 */
export function exactDecoder(
  { tokens: T, vocabSize: V, images }: Enumerable,
  {
    rates,
    seed,
    strength,
    joint,
  }: {
    readonly rates: readonly number[];
    readonly seed: number;
    /** λ of leave-one-out, which decides what the final token is that drafts are drawn with. */
    readonly strength: number;
    /** Otherwise rows know nothing of each other, as heads that are independent. */
    readonly joint: boolean;
  },
): Decoder {
  const k = rates.length;
  const categorical = createCategorical(V);
  const options = { temperature: 1, topK: 0, topP: 1 };
  const likelihood = (depth: number, view: number, code: number) =>
    (view === code ? 1 - rates[depth]! : 0) + rates[depth]! / V;

  /** Log probabilities of a token given the images' weights, where some tokens are known. */
  const marginal = (weights: readonly number[], token: number): Float32Array => {
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
    unconditional: () => 0,
    start(conditions) {
      let position = 0;
      const posteriors = Array.from(conditions, () => images.map(({ probability }) => probability));
      const views = Array.from(conditions, () => new Array<readonly [depth: number, code: number][]>(T).fill([]));

      const show = (row: number, window: Int32Array) => {
        for (const [depth, code] of window.entries()) {
          const token = position - 1 + depth;
          if (token >= T) continue;
          if (depth > 0) views[row]![token] = [...views[row]![token]!, [depth, code]];
          posteriors[row] = posteriors[row]!.map((weight, i) => {
            const own = images[i]!.codes[token]!;
            return weight * (depth === 0 ? Number(own === code) : likelihood(depth, code, own));
          });
        }
      };

      const predict = (row: number): Float32Array[] => {
        let weights = posteriors[row]!;
        const final = marginal(weights, position);
        const rows = [final];
        const corrected = final.slice();
        for (const [depth, code] of views[row]![position]!)
          corrected[code]! -= strength * Math.log(likelihood(depth, code, code) / (rates[depth]! / V));
        const token = createStream(seed, "token", row, position);
        const drafts = createStream(seed, "draft", row, position);
        let last = categorical.sample(corrected, 0, options, token.uniform(), "final");
        for (let entry = 1; entry < k; entry++) {
          if (position + entry >= T) {
            rows.push(new Float32Array(V));
            continue;
          }
          if (joint) weights = given(weights, position + entry - 1, last);
          const logits = marginal(weights, position + entry);
          rows.push(logits);
          last = categorical.sample(logits, 0, options, drafts.uniform(), "draft");
        }
        return rows;
      };

      return {
        async step(windows) {
          const logits = new Float32Array(conditions.length * k * V);
          for (let row = 0; row < conditions.length; row++) {
            if (position > 0) show(row, windows.subarray(row * k, (row + 1) * k));
            for (const [entry, values] of predict(row).entries()) logits.set(values, (row * k + entry) * V);
          }
          position++;
          return logits;
        },
      };
    },
  };
}
