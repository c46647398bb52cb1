import * as tf from "@tensorflow/tfjs-core";

/** How the discriminator is trained. */
export type DiscriminatorLoss = "hinge" | "vanilla" | "non-saturating";

/** How the tokenizer is trained against it. */
export type GeneratorLoss = "hinge" | "non-saturating";

/**
 * Loss of the discriminator. Source: `hinge_d_loss`, `vanilla_d_loss` and `non_saturating_d_loss` of LlamaGen's `vq_loss.py`; the last
 * one, as there, takes the constant for the logit and the logit for the target, so that it is linear in the real logits and does
 * not depend on the others.
 *
 * @param real logits of images, of any shape
 * @param fake logits of reconstructions
 */
export function discriminatorLoss(kind: DiscriminatorLoss, real: tf.Tensor, fake: tf.Tensor): tf.Scalar {
  const [ofReal, ofFake] = DISCRIMINATOR_TERMS[kind](real, fake);
  return tf.mul(tf.add(tf.mean(ofReal), tf.mean(ofFake)), 0.5);
}

const DISCRIMINATOR_TERMS: Readonly<
  Record<DiscriminatorLoss, (real: tf.Tensor, fake: tf.Tensor) => readonly [tf.Tensor, tf.Tensor]>
> = {
  hinge: (real, fake) => [tf.relu(tf.sub(1, real)), tf.relu(tf.add(1, fake))],
  vanilla: (real, fake) => [tf.softplus(tf.neg(real)), tf.softplus(fake)],
  "non-saturating": (real, fake) => [tf.sub(Math.log1p(Math.E), real), tf.add(tf.mul(fake, 0), Math.LN2)],
};

/**
 * Loss of the tokenizer. Source: `hinge_gen_loss` and `non_saturating_gen_loss` of LlamaGen's `vq_loss.py`; of the last one see
 * {@link discriminatorLoss}.
 *
 * @param fake logits of reconstructions, of any shape
 */
export function generatorLoss(kind: GeneratorLoss, fake: tf.Tensor): tf.Scalar {
  const mean: tf.Scalar = tf.mean(fake);
  return kind === "hinge" ? tf.neg(mean) : (tf.sub(Math.log1p(Math.E), mean) as tf.Scalar);
}

/** Smallest gradient that a weight is worked out from, and the largest weight. */
const SMALLEST = 1e-4;
const LARGEST = 1e4;

/**
 * Weight of the adversarial loss by which its gradient at the decoder's last layer is as large as that of the reconstruction. No
 * gradient flows through it. Source: `calculate_adaptive_weight` of LlamaGen's `vq_loss.py` (VQGAN, Esser et al. 2021).
 *
 * @param reconstruction gradient of reconstruction and perceptual loss at the last layer's weight
 * @param adversarial gradient of the adversarial loss there
 */
export function adaptiveWeight(reconstruction: tf.Tensor, adversarial: tf.Tensor): tf.Scalar {
  const norm = (gradient: tf.Tensor) => tf.sqrt(tf.sum(tf.square(gradient)));
  const ratio = tf.div(norm(reconstruction), tf.add(norm(adversarial), SMALLEST));
  return tf.clipByValue(ratio, 0, LARGEST) as tf.Scalar;
}

/** Weight of the adversarial losses at a step: none before it starts. Source: `adopt_weight` of LlamaGen's `vq_loss.py`. */
export const adversarialWeight = (weight: number, step: number, start: number): number => (step < start ? 0 : weight);
