import { ShapeError } from "@tensorar/core";
import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

// Source of this file: `LFQ` and `entropy_loss` of src/Open_MAGVIT2/modules/vqvae/lookup_free_quantize.py in
// TencentARC/SEED-Voken. Bit k of a code has the weight 2^k and is channel k of its vector: 1 where the bit is set,
// -1 where it is not. Codes have at most 24 bits, so that float32 arithmetic on them is exact on every backend.

const TEMPERATURE = 0.01;
const LOG_FLOOR = 1e-5;

/** Weights of the bits: 1, 2, 4, … */
const weightsOf = (bits: number): tf.Tensor1D =>
  tf.tensor1d(
    Array.from({ length: bits }, (_, k) => 2 ** k),
    "float32",
  );

/** Vectors to codes: a channel above 0 is a set bit. `[M, bits]` → int32 `[M]` */
export const codesOf = (latents: tf.Tensor2D): tf.Tensor1D =>
  tf.tidy(() => {
    const set = tf.cast(tf.greater(latents, 0), "float32");
    return tf.cast(tf.sum(tf.mul(set, weightsOf(latents.shape[1])), 1), "int32");
  });

/** Codes to vectors of -1 and 1: int32 `[M]` → `[M, bits]` */
export const vectorsOf = (codes: tf.Tensor1D, bits: number): tf.Tensor2D =>
  tf.tidy(() => {
    const shifted = tf.div(tf.expandDims(tf.cast(codes, "float32"), 1), weightsOf(bits)); // [M, bits]
    const halves = tf.floor(tf.div(shifted, 2));
    const bit = tf.sub(tf.floor(shifted), tf.mul(halves, 2)); // 0 or 1
    return tf.sub(tf.mul(bit, 2), 1);
  });

/**
 * Splits codes into parts of so many bits, lowest bits first: the tokens of Open-MAGVIT2's factorized generator, for
 * which the original has `[6, 12]`.
 * @param codes int32, of any shape
 * @returns as many int32 tensors of that shape, which the caller owns
 */
export function splitCodes<T extends tf.Tensor>(codes: T, factorizedBits: readonly number[]): T[] {
  return tf.tidy(() => {
    const value = tf.cast(codes, "float32");
    const above = (bits: number): tf.Tensor => tf.floor(tf.div(value, 2 ** bits));
    let start = 0;
    return factorizedBits.map((bits) => {
      const part = tf.sub(above(start), tf.mul(above(start + bits), 2 ** bits));
      start += bits;
      return tf.cast(part, "int32") as T;
    });
  });
}

/**
 * The reverse of {@link splitCodes}.
 * @throws ShapeError where the numbers of parts and of their bits differ
 */
export function joinCodes<T extends tf.Tensor>(parts: readonly T[], factorizedBits: readonly number[]): T {
  if (parts.length !== factorizedBits.length || parts.length === 0) {
    throw new ShapeError(`joinCodes: ${parts.length} parts for bits [${factorizedBits}]; pass one for each`);
  }
  return tf.tidy(() => {
    let weight = 1;
    const weighted = parts.map((part, i) => {
      const term = tf.mul(tf.cast(part, "float32"), weight);
      weight *= 2 ** factorizedBits[i]!;
      return term;
    });
    return tf.cast(tf.addN(weighted), "int32") as T;
  });
}

/** The terms of lookup-free quantization. */
export interface LfqLosses {
  /** `sample_minimization_weight · per_sample_entropy − batch_maximization_weight · codebook_entropy` */
  readonly entropy_aux: tf.Scalar;
  /** Mean entropy of a latent's soft choice of a code: low where latents are sure. */
  readonly per_sample_entropy: tf.Scalar;
  /** Entropy of the mean soft choice: high where all codes are used alike. */
  readonly codebook_entropy: tf.Scalar;
  /** Mean squared distance of latents to their codes. Unweighted. */
  readonly commitment: tf.Scalar;
}

/** Weights of the terms of lookup-free quantization. */
export interface LfqLossWeights {
  readonly sample_minimization_weight: number;
  readonly batch_maximization_weight: number;
}

/**
 * The quantizer's training losses. The caller owns the results.
 *
 * A soft choice of a code is a choice of each bit on its own, so the `[M, 2^bits]` table of the original is not formed:
 * entropies of bits add up, and the mean choice is a product of two tables of half the bits each. Differs from the
 * original in value by its 1e-5 within `log_softmax`, which cancels, only.
 *
 * @param latents `[..., bits]`
 */
export function lfqLosses(latents: tf.Tensor, weights: LfqLossWeights): LfqLosses {
  return tf.tidy(() => {
    const bits = latents.shape[latents.rank - 1]!;
    const rows = tf.reshape(latents, [-1, bits]) as tf.Tensor2D;
    const per_sample_entropy = bitEntropy(rows);
    const codebook_entropy = usageEntropy(rows);
    const sure = tf.mul(per_sample_entropy, weights.sample_minimization_weight);
    const alike = tf.mul(codebook_entropy, weights.batch_maximization_weight);
    return {
      entropy_aux: tf.sub(sure, alike) as tf.Scalar,
      per_sample_entropy,
      codebook_entropy,
      commitment: tf.mean(tf.square(tf.sub(rows, signs(rows)))) as tf.Scalar,
    };
  });
}

/** -1 or 1 by the sign, -1 for 0; a constant to gradients. */
export const signs = (x: tf.Tensor2D): tf.Tensor2D =>
  withGradient(
    [x],
    (input) => ({ value: tf.sub(tf.mul(tf.cast(tf.greater(input, 0), "float32"), 2), 1) as tf.Tensor2D, saved: [] }),
    (dy) => [tf.zerosLike(dy)],
  );

// The gradients below are written out: those of a softmax at so low a temperature subtract numbers that are almost equal.

/** Distance of the two logits of a bit, which are `±2 z / temperature`, for z = 1. */
const SLOPE = 4 / TEMPERATURE;

/** Sum over bits, mean over rows. The entropy of a bit with logits a apart is `softplus(−a) + a · σ(−a)`. */
function bitEntropy(rows: tf.Tensor2D): tf.Scalar {
  return withGradient(
    [rows],
    (z) => {
      const apart = tf.abs(tf.mul(z, SLOPE));
      const entropy = tf.add(tf.softplus(tf.neg(apart)), tf.mul(apart, tf.sigmoid(tf.neg(apart)))); // [M, bits]
      return { value: tf.div(tf.sum(entropy), rowCount(z)) as tf.Scalar, saved: [z] };
    },
    // d entropy / d a = −a · σ(a) · σ(−a)
    (dy, [z]) => {
      const apart = tf.mul(z, SLOPE);
      const both = tf.mul(tf.sigmoid(apart), tf.sigmoid(tf.neg(apart)));
      return [tf.mul(tf.mul(tf.neg(apart), both), tf.div(tf.mul(dy, SLOPE), rowCount(z)))];
    },
  );
}

/** Entropy of the mean of all rows' choices. */
function usageEntropy(rows: tf.Tensor2D): tf.Scalar {
  const low = Math.ceil(rows.shape[1] / 2);
  const high = rows.shape[1] - low;
  return withGradient(
    [rows],
    (z) => {
      const lows = choices(tf.slice(z, [0, 0], [-1, low])); // [M, 2^low]
      const highs = choices(tf.slice(z, [0, low], [-1, high])); // [M, 2^high]
      const usage = tf.div(tf.matMul(lows, highs, true), rowCount(z)); // [2^low, 2^high]
      const floored = tf.add(usage, LOG_FLOOR);
      const value: tf.Scalar = tf.neg(tf.sum(tf.mul(usage, tf.log(floored))));
      // d value / d usage. A constant changes no gradient, for the usage sums to 1; without their mean they round less.
      const slopes = tf.neg(tf.add(tf.log(floored), tf.div(usage, floored)));
      const centred = tf.sub(slopes, tf.sum(tf.mul(usage, slopes))) as tf.Tensor2D; // [2^low, 2^high]
      return { value, saved: [z, lows, highs, centred] };
    },
    (dy, [z, lows, highs, slopes]) => {
      const lowSlopes = timesCentred(lows, tf.matMul(highs, slopes, false, true)); // [M, 2^low]
      const highSlopes = timesCentred(highs, tf.matMul(lows, slopes)); // [M, 2^high]
      const summed = (bit: 1 | -1) => tf.concat([sumsAt(lowSlopes, low, bit), sumsAt(highSlopes, high, bit)], 1);
      const apart = tf.mul(z, SLOPE); // [M, bits]
      // A set bit has the chance σ(a), whose derivative is σ(a) · σ(−a). The sums have one of the factors already.
      const set = tf.mul(summed(1), tf.sigmoid(tf.neg(apart)));
      const unset = tf.mul(summed(-1), tf.sigmoid(apart));
      return [tf.mul(tf.sub(set, unset), tf.div(tf.mul(dy, SLOPE), rowCount(z)))];
    },
  );
}

/** Each row's chances times its slopes, less the row's mean slope. */
const timesCentred = (chances: tf.Tensor2D, slopes: tf.Tensor2D): tf.Tensor =>
  tf.mul(chances, tf.sub(slopes, tf.sum(tf.mul(chances, slopes), 1, true)));

/** `[M, bits]` → `[M, 2^bits]`, how likely each row chooses each code. */
function choices(rows: tf.Tensor): tf.Tensor2D {
  const bits = rows.shape[1]!;
  return tf.softmax(tf.matMul(tf.mul(rows, 2 / TEMPERATURE), allVectors(bits), false, true)) as tf.Tensor2D;
}

/** `[M, 2^bits]` → `[M, bits]`: for each bit, the sum over the codes in which it is set (1) or not (-1). */
const sumsAt = (values: tf.Tensor, bits: number, bit: 1 | -1): tf.Tensor =>
  tf.matMul(values, tf.cast(tf.equal(allVectors(bits), bit), "float32"));

/** Vectors of all codes of so many bits, `[2^bits, bits]`. */
const allVectors = (bits: number): tf.Tensor2D => vectorsOf(tf.range(0, 2 ** bits, 1, "int32"), bits);

/** M of `[M, …]`, taken from the tensor: it may be symbolic. */
const rowCount = (rows: tf.Tensor2D): tf.Scalar => tf.sum(tf.onesLike(tf.slice(rows, [0, 0], [-1, 1])));
