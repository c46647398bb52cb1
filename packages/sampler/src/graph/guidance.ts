import * as tf from "@tensorflow/tfjs-core";
import { type Guidance, scaleAt } from "../guidance";

// `../guidance` as tensors. B images · k window · V codes

/** Guidance whose scale is given with every image. */
export type GraphGuidance = Guidance extends infer G ? (G extends Guidance ? Omit<G, "scale"> : never) : never;

/**
 * Scales of a step, as `scaleAt` has them: 1 + (scale - 1) · ramp, with the ramp as a table.
 * @param scale [B]
 * @param step int32 [1]
 * @returns [B]
 */
export function scalesAt(guidance: GraphGuidance, scale: tf.Tensor, step: tf.Tensor, tokens: number): tf.Tensor {
  if (guidance.kind === "constant") return scale;
  const ofTwo: Guidance = { ...guidance, scale: 2 }; // whose excess over 1 is the ramp itself
  const ramp = tf.tensor1d(Array.from({ length: tokens }, (_, position) => scaleAt(ofTwo, position, tokens) - 1));
  return tf.add(tf.mul(tf.sub(scale, 1), tf.gather(ramp, step as tf.Tensor1D)), 1);
}

/**
 * Logits [B, 2, k, V] with and without the condition, mixed → [B, k, V].
 * @param scale [B]: images whose scale is at most 1 keep the condition's own
 * @param now [B]: scale of this step
 */
export function mixGuided(logits: tf.Tensor, scale: tf.Tensor, now: tf.Tensor): tf.Tensor {
  const [conditional, unconditional] = tf.unstack(logits, 1) as [tf.Tensor, tf.Tensor];
  const perImage = (x: tf.Tensor) => tf.reshape(x, [-1, 1, 1]);
  const mixed = tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), perImage(now)));
  return tf.where(perImage(tf.greater(scale, 1)), mixed, conditional);
}
