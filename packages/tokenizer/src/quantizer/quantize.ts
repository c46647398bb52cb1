import * as tf from "@tensorflow/tfjs-core";
import type { FullVqConfig } from "../config";
import { rowsAt, stopGradient, unitLength } from "../ops/gradients";
import { type Params, parameter } from "../parameters";
import { entropyLoss } from "./entropy";

/** The entropy loss divides affinities by this. Source: `compute_entropy_loss`. */
const TEMPERATURE = 0.01;

/** How latents and codes are compared. */
export type Comparison = Pick<FullVqConfig, "codebook_l2_norm">;

/** The codes as they are compared and used, `[V, e]`: of length 1 where the configuration says so. */
export function codebook(params: Params, config: Comparison): tf.Tensor2D {
  const embedding = parameter<tf.Tensor2D>(params, "quantize.embedding.weight");
  return config.codebook_l2_norm ? unitLength(embedding) : embedding;
}

export interface Quantized {
  /** What was compared, `[M, e]`: latents, of length 1 where the configuration says so. */
  readonly compared: tf.Tensor2D;
  /** int32 `[M]` */
  readonly codes: tf.Tensor1D;
  /** The chosen codes, `[M, e]`, differentiable in the codebook. */
  readonly chosen: tf.Tensor2D;
  /** `2 z·e − |e|²`, `[M, V]`: minus the squared distance, up to a constant of the row. */
  readonly affinity: tf.Tensor2D;
}

/**
 * Nearest code of every latent. `|z|²` is the same for all codes of a row, so that neither the choice nor a softmax
 * needs it; codes of length 1 share `|e|²` as well.
 * @param latents `[M, e]`
 */
export function quantize(params: Params, config: Comparison, latents: tf.Tensor2D): Quantized {
  const codes = codebook(params, config); // [V, e]
  const compared = config.codebook_l2_norm ? unitLength(latents) : latents;
  const product = tf.matMul(tf.mul(compared, 2), codes, false, true) as tf.Tensor2D; // [M, V]
  const affinity = config.codebook_l2_norm ? product : tf.sub(product, tf.sum(tf.square(codes), 1));
  const nearest = tf.argMax(affinity, 1) as tf.Tensor1D; // [M]
  return { compared, codes: nearest, chosen: rowsAt(codes, nearest), affinity: affinity as tf.Tensor2D };
}

export interface QuantizerLosses {
  /** Mean squared distance, moves codes to latents. */
  readonly vq_loss: tf.Scalar;
  /** The same distance times β, moves latents to codes. */
  readonly commit_loss: tf.Scalar;
  /** Entropy loss times its ratio; 0 without one. */
  readonly entropy_loss: tf.Scalar;
}

/** Source: `VectorQuantizer.forward` of LlamaGen's `vq_model.py`. */
export function quantizerLosses(config: FullVqConfig, { compared, chosen, affinity }: Quantized): QuantizerLosses {
  const distance = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.mean(tf.square(tf.sub(a, b)));
  const ratio = config.entropy_loss_ratio;
  return {
    vq_loss: distance(chosen, stopGradient(compared)),
    commit_loss: tf.mul(distance(stopGradient(chosen), compared), config.commit_loss_beta),
    entropy_loss: ratio === 0 ? tf.scalar(0) : tf.mul(entropyLoss(tf.div(affinity, TEMPERATURE)), ratio),
  };
}
