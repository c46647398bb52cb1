import { countRows, expectFinite, expectInteger } from "./checks";
import { TensorARError } from "./errors";

// Probabilities that a network wrote in float32 or float16 sum to 1 this closely.
const SUM_TOLERANCE = 1e-2;

export interface InceptionScoreOptions {
  readonly classes: number;
  /** Images a chunk, of which the score is the mean; the last may be shorter. 5000 in the usual protocol. */
  readonly splitSize: number;
}

/**
 * Inception Score, `exp(mean KL(p(y|x) ‖ p(y)))` of every chunk of consecutive images, averaged over chunks; 1 … classes,
 * higher is better. Source: Salimans et al. 2016, as computed by openai/guided-diffusion `evaluations/evaluator.py`.
 *
 * @param probabilities `[n, classes]`, rows that sum to 1; `softmax` makes them of logits
 * @throws TensorARError at rows that are no probabilities, or sizes that do not fit
 */
export function inceptionScore(
  probabilities: Float32Array | Float64Array,
  { classes, splitSize }: InceptionScoreOptions,
): number {
  expectInteger("inceptionScore", "classes", classes, 1, 2 ** 31);
  expectInteger("inceptionScore", "splitSize", splitSize, 1, 2 ** 31);
  const images = countRows("inceptionScore", "probabilities", probabilities, classes);
  checkProbabilities(probabilities, classes);
  let sum = 0;
  let chunks = 0;
  for (let start = 0; start < images; start += splitSize) {
    sum += Math.exp(meanDivergence(probabilities.subarray(start * classes, (start + splitSize) * classes), classes));
    chunks++;
  }
  return sum / chunks;
}

/**
 * Probabilities `[n, classes]` of logits `[n, classes]`, in float64.
 *
 * @throws TensorARError at NaN and infinity, or where the length is not whole rows
 */
export function softmax(logits: Float32Array | Float64Array, classes: number): Float64Array {
  expectInteger("softmax", "classes", classes, 1, 2 ** 31);
  countRows("softmax", "logits", logits, classes);
  expectFinite("softmax", "logits", logits, classes);
  const out = new Float64Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const end = start + classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = start; i < end; i++) largest = Math.max(largest, logits[i]!);
    let sum = 0;
    for (let i = start; i < end; i++) sum += out[i] = Math.exp(logits[i]! - largest);
    for (let i = start; i < end; i++) out[i] = out[i]! / sum;
  }
  return out;
}

/** Mean KL divergence, in nats, of rows `[n, classes]` from their mean. */
function meanDivergence(rows: Float32Array | Float64Array, classes: number): number {
  const images = rows.length / classes;
  const marginal = new Float64Array(classes);
  for (let i = 0; i < rows.length; i++) marginal[i % classes] = marginal[i % classes]! + rows[i]! / images;
  let sum = 0;
  for (let i = 0; i < rows.length; i++) {
    const p = rows[i]!;
    if (p > 0) sum += p * (Math.log(p) - Math.log(marginal[i % classes]!)); // p log p → 0 as p → 0
  }
  return sum / images;
}

function checkProbabilities(rows: Float32Array | Float64Array, classes: number): void {
  expectFinite("inceptionScore", "probabilities", rows, classes);
  for (let start = 0; start < rows.length; start += classes) {
    let [sum, least] = [0, 0];
    for (let i = start; i < start + classes; i++) {
      sum += rows[i]!;
      least = Math.min(least, rows[i]!);
    }
    if (least >= 0 && Math.abs(sum - 1) <= SUM_TOLERANCE) continue;
    const found = least < 0 ? `holds ${least}` : `sums to ${sum}`;
    const remedy = "pass probabilities; softmax(logits, classes) makes them";
    throw new TensorARError(`inceptionScore: row ${start / classes} ${found}; ${remedy}`);
  }
}
