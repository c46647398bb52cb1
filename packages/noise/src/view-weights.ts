/**
 * w_1 … w_(k-1): what a view at each depth adds to the logit of its code, `ln((1 - β + β/V) / (β/V))`, the ratio of its likelihoods
 * under the code that it shows and under another one; in nats. Infinite where β(j) is 0.
 *
 * @param rates β(0) … β(k-1)
 * @param vocabSize V
 */
export const viewWeights = (rates: ArrayLike<number>, vocabSize: number): number[] =>
  Array.from(rates)
    .slice(1)
    .map((rate) => Math.log((1 - rate + rate / vocabSize) / (rate / vocabSize)));
