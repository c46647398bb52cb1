import * as tf from "@tensorflow/tfjs-core";
import { type Params, parameter } from "../parameters";
import { normalizeGroups } from "./group-norm";

const EPSILON = 1e-6;

/**
 * GroupNorm scaled and shifted per image: the scale is linear in the standard deviations of the style's channels over
 * its pixels, the shift in their means.
 *
 * Source: `AdaptiveGroupNorm` of Open-MAGVIT2's `improved_model.py`; the variance is the unbiased one, so that a style
 * needs two pixels.
 *
 * @param x `[N, H, W, C]`
 * @param style `[N, h, w, Z]`
 */
export function adaptiveNorm(params: Params, name: string, x: tf.Tensor4D, style: tf.Tensor4D): tf.Tensor4D {
  const [, h, w] = style.shape;
  const C = x.shape[3];
  const mean = tf.mean(style, [1, 2], true); // [N, 1, 1, Z]
  const variance = tf.div(tf.sum(tf.square(tf.sub(style, mean)), [1, 2]), h * w - 1); // [N, Z]
  const scale = linear(params, `${name}.gamma`, tf.sqrt(tf.add(variance, EPSILON))); // [N, C]
  const shift = linear(params, `${name}.beta`, tf.reshape(mean, [-1, style.shape[3]])); // [N, C]
  const perPixel = (values: tf.Tensor): tf.Tensor4D => tf.reshape(values, [-1, 1, 1, C]);
  const normal = normalizeGroups(x, tf.ones([C]), tf.zeros([C]));
  return tf.add(tf.mul(normal, perPixel(scale)), perPixel(shift));
}

/** `[N, I]` → `[N, O]` */
const linear = (params: Params, name: string, x: tf.Tensor): tf.Tensor =>
  tf.add(tf.matMul(x, parameter(params, `${name}.weight`), false, true), parameter(params, `${name}.bias`));
