import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

const LOG_FLOOR = 1e-5;

/**
 * Entropy loss of soft assignments: mean entropy of a row's softmax minus entropy of the mean softmax. Low when every
 * latent is sure of its code and all codes are used alike. Natural logarithms.
 *
 * Source: `compute_entropy_loss` of LlamaGen's `vq_model.py`, given `affinity / temperature`. Differs: none in value;
 * a row's log-probabilities are not formed, since its entropy is `logsumexp − Σ p · logit`.
 *
 * @param logits `[M, V]`
 */
export function entropyLoss(logits: tf.Tensor2D): tf.Scalar {
  return withGradient(
    [logits],
    (input) => {
      const shifted = tf.sub(input, tf.max(input, 1, true)); // [M, V], largest is 0
      const probabilities = tf.softmax(shifted); // [M, V]
      const logSumExp = tf.neg(tf.log(tf.max(probabilities, 1))); // [M], because the largest logit is 0
      const rowEntropy = tf.sub(logSumExp, tf.sum(tf.mul(probabilities, shifted), 1)); // [M]
      const usage = tf.mean(probabilities, 0); // [V]
      const logUsage = tf.log(tf.add(usage, LOG_FLOOR)); // [V]
      const value: tf.Scalar = tf.add(tf.mean(rowEntropy), tf.sum(tf.mul(usage, logUsage)));
      // d value / d usage, with the floor inside the logarithm
      const dUsage = tf.add(logUsage, tf.div(usage, tf.add(usage, LOG_FLOOR))); // [V]
      return { value, saved: [shifted, probabilities, dUsage] };
    },
    // p · (u − Σ p u) / M with u = dUsage − shifted; logsumexp is the same for a whole row and cancels.
    (dy, [shifted, probabilities, dUsage]) => {
      const u = tf.sub(dUsage, shifted); // [M, V]
      const inner = tf.sum(tf.mul(probabilities, u), 1, true); // [M, 1]
      const perRow = tf.div(dy, tf.sum(tf.onesLike(inner))); // dy / M, with M taken from the tensor: it may be symbolic
      return [tf.mul(tf.mul(probabilities, perRow), tf.sub(u, inner))];
    },
  );
}
