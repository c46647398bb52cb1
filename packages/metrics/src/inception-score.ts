import { requireOptions, TensorARError } from "@tensorar/core";
import { countRows, expectFinite, expectInteger } from "./checks";

// Probabilities that a network wrote in float32 or float16 sum to 1 this closely.
const SUM_TOLERANCE = 1e-2;

/** Into how many splits images are divided. */
export interface InceptionScoreOptions {
  readonly classes: number;
  /** Images a chunk, of which the score is the mean; the last may be shorter. 5000 in the usual protocol. */
  readonly splitSize: number;
}

/** Sums that determine the score of consecutive images, and that add up over parts of them. */
export interface InceptionScoreSums extends InceptionScoreOptions {
  /** Which image of the whole the first one is, from 0 on: it says where chunks begin. */
  readonly first: number;
  /** Images in each chunk, `[chunks]`; the first and the last may be parts. */
  readonly counts: Float64Array;
  /** `Σ p` by chunk and class, `[chunks, classes]`. */
  readonly marginals: Float64Array;
  /** `Σ Σ p log p` by chunk, in nats, `[chunks]`. */
  readonly logs: Float64Array;
}

/** The Inception Score over splits of the images. */
export interface InceptionScore {
  /**
   * Adds the next images, `[n, classes]`, rows that sum to 1; `softmax` makes them of logits.
   * @throws TensorARError at rows that are no probabilities, and at a length that is not whole rows; nothing is added then
   */
  add(probabilities: Float32Array | Float64Array): void;
  /** What was added so far, as a copy. */
  sums(): InceptionScoreSums;
  /** The score of what was added. @throws TensorARError where nothing was */
  result(): number;
}

/**
 * Inception Score, `exp(mean KL(p(y|x) ‖ p(y)))` of every chunk of consecutive images, averaged over chunks; 1 … classes,
 * higher is better. Source: Salimans et al. 2016, as computed by openai/guided-diffusion `evaluations/evaluator.py`.
 *
 * @param probabilities `[n, classes]`, rows that sum to 1; `softmax` makes them of logits
 * @throws TensorARError at rows that are no probabilities, or sizes that do not fit
 */
export function inceptionScore(probabilities: Float32Array | Float64Array, options: InceptionScoreOptions): number {
  const score = createInceptionScore(options);
  score.add(probabilities);
  return score.result();
}

/**
 * {@link inceptionScore} of a stream, or of a part of all images: {@link mergeInceptionScores} puts parts together, however
 * they were cut, as long as each knows its `first` image.
 *
 * @param options.first 0 for the whole and its first part; elsewhere the number of images in the parts before
 * @throws TensorARError where sizes are out of range
 */
export function createInceptionScore(options: InceptionScoreOptions & { readonly first?: number }): InceptionScore {
  requireOptions("inceptionScore", options, ["classes", "splitSize"]);
  const { classes, splitSize, first = 0 } = options;
  expectInteger("inceptionScore", "classes", classes, 1, 2 ** 31);
  expectInteger("inceptionScore", "splitSize", splitSize, 1, 2 ** 31);
  expectInteger("inceptionScore", "first", first, 0, Number.MAX_SAFE_INTEGER);
  const chunks: { count: number; logs: number; marginal: Float64Array }[] = [];
  let next = first;
  return {
    add(probabilities) {
      const rows = countRows("inceptionScore", "probabilities", probabilities, classes);
      checkProbabilities(probabilities, classes);
      for (let row = 0; row < rows; row++, next++) {
        if (chunks.length === 0 || next % splitSize === 0)
          chunks.push({ count: 0, logs: 0, marginal: new Float64Array(classes) });
        const chunk = chunks.at(-1)!;
        chunk.count++;
        for (let c = 0; c < classes; c++) {
          const p = probabilities[row * classes + c]!;
          chunk.marginal[c] = chunk.marginal[c]! + p;
          if (p > 0) chunk.logs += p * Math.log(p); // p log p → 0 as p → 0
        }
      }
    },
    sums: () => sumsOf({ classes, splitSize, first }, chunks),
    result: () => inceptionScoreOf(sumsOf({ classes, splitSize, first }, chunks)),
  };
}

function sumsOf(
  options: InceptionScoreOptions & { readonly first: number },
  chunks: readonly { readonly count: number; readonly logs: number; readonly marginal: Float64Array }[],
): InceptionScoreSums {
  const marginals = new Float64Array(chunks.length * options.classes);
  for (const [i, { marginal }] of chunks.entries()) marginals.set(marginal, i * options.classes);
  return {
    ...options,
    counts: Float64Array.from(chunks, ({ count }) => count),
    logs: Float64Array.from(chunks, ({ logs }) => logs),
    marginals,
  };
}

/** The score that sums determine. @throws TensorARError where they are of no image */
export function inceptionScoreOf(sums: InceptionScoreSums): number {
  requireOptions("inceptionScoreOf", sums, ["classes", "counts", "marginals", "logs"]);
  const { classes, counts, marginals, logs } = sums;
  if (counts.length === 0) throw new TensorARError("inceptionScore: there are no images; add at least one");
  let total = 0;
  for (const [chunk, count] of counts.entries()) {
    let divergence = logs[chunk]! / count;
    for (let c = chunk * classes; c < (chunk + 1) * classes; c++) {
      const mean = marginals[c]! / count;
      if (mean > 0) divergence -= mean * Math.log(mean);
    }
    total += Math.exp(divergence);
  }
  return total / counts.length;
}

/**
 * Sums of all images from those of consecutive parts, in order. Only additions: to rounding the same as of the whole, and
 * exactly where parts end with a chunk.
 *
 * @throws TensorARError where sizes differ, and where a part does not begin at the place in a chunk where the part before it ends
 */
export function mergeInceptionScores(parts: readonly InceptionScoreSums[]): InceptionScoreSums {
  const [whole] = parts;
  if (!whole) throw new TensorARError("mergeInceptionScores: no parts; pass at least one");
  const { classes, splitSize, first } = whole;
  const chunks: { count: number; logs: number; marginal: Float64Array }[] = [];
  let next = first;
  for (const [i, part] of parts.entries()) {
    for (const name of ["classes", "splitSize"] as const)
      if (part[name] !== whole[name])
        throw new TensorARError(
          `mergeInceptionScores: part ${i} has ${name} = ${part[name]}, the first ${whole[name]}`,
        );
    if (part.first % splitSize !== next % splitSize)
      throw new TensorARError(
        `mergeInceptionScores: part ${i} begins at image ${part.first % splitSize} of a chunk of ${splitSize}, the parts before it end at ${next % splitSize}; compute it with first = ${next}, or cut parts at multiples of ${splitSize}`,
      );
    for (const [j, count] of part.counts.entries()) {
      const marginal = part.marginals.subarray(j * classes, (j + 1) * classes);
      const open = chunks.length > 0 && next % splitSize !== 0 ? chunks.at(-1) : undefined;
      if (open) {
        open.count += count;
        open.logs += part.logs[j]!;
        for (let c = 0; c < classes; c++) open.marginal[c] = open.marginal[c]! + marginal[c]!;
      } else chunks.push({ count, logs: part.logs[j]!, marginal: marginal.slice() });
      next += count;
    }
  }
  return sumsOf({ classes, splitSize, first }, chunks);
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
