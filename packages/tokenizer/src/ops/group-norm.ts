import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import { NORM_GROUPS } from "../config-rules";
import { type Params, parameter } from "../parameters";

const EPSILON = 1e-6;

/**
 * GroupNorm over 32 groups of neighbouring channels, eps 1e-6.
 *
 * Statistics are taken per channel and joined into groups on tensors of `N · C` elements, so that the image is never
 * reshaped: a group's variance is the mean of its channels' variances plus the spread of its channels' means. The
 * gradient is written out for the same reason; autodiff would walk over the image about twice as often.
 *
 * @param x `[N, H, W, C]`, C a multiple of 32
 */
export function groupNorm(params: Params, name: string, x: tf.Tensor4D): tf.Tensor4D {
  return normalizeGroups(x, parameter(params, `${name}.weight`), parameter(params, `${name}.bias`));
}

/** The same with the weight and the bias themselves, both `[C]`. */
export function normalizeGroups(image: tf.Tensor4D, weight: tf.Tensor1D, bias: tf.Tensor1D): tf.Tensor4D {
  const [, H, W, C] = image.shape;
  const perGroup = C / NORM_GROUPS;
  const grouped = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, NORM_GROUPS, perGroup]); // [N, C] → [N, G, C/G]
  const perPixel = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, 1, 1, C]); // [N, G, C/G] → [N, 1, 1, C]
  return withGradient(
    [image, weight, bias],
    (x, w, b) => {
      const mean = tf.mean(x, [1, 2], true); // [N, 1, 1, C]
      const centred = tf.sub(x, mean); // [N, H, W, C]
      const variance = grouped(tf.mean(tf.square(centred), [1, 2])); // [N, G, C/G]
      const means = grouped(mean);
      const offset = tf.sub(means, tf.mean(means, 2, true)); // [N, G, C/G], channel mean − group mean
      const groupVariance = tf.mean(tf.add(variance, tf.square(offset)), 2, true); // [N, G, 1]
      const inverse = tf.rsqrt(tf.add(groupVariance, EPSILON)); // [N, G, 1]
      const scale = tf.mul(inverse, grouped(w)); // [N, G, C/G]
      const shift = tf.add(tf.mul(offset, scale), grouped(b)); // [N, G, C/G]
      const value: tf.Tensor4D = tf.add(tf.mul(centred, perPixel(scale)), perPixel(shift)); // [N, H, W, C]
      return { value, saved: [centred, offset, inverse, scale] };
    },
    // With d = x − group mean and sums over the M elements of a group:
    // dx = scale · dy − Σ scale · dy / M − d · inverse² · Σ scale · dy · d / M.
    // d is `centred + offset`, so that part of the last term is constant in a channel.
    (dy, [centred, offset, inverse, scale]) => {
      const dShift = grouped(tf.sum(dy, [1, 2])); // [N, G, C/G]
      const dScale = tf.add(grouped(tf.sum(tf.mul(dy, centred), [1, 2])), tf.mul(offset, dShift)); // Σ dy · d
      const count = -H * W * perGroup; // −M
      const slope = tf.div(tf.mul(tf.square(inverse), tf.sum(tf.mul(scale, dScale), 2, true)), count); // [N, G, 1]
      const level = tf.div(tf.sum(tf.mul(scale, dShift), 2, true), count); // [N, G, 1]
      const constant = tf.add(level, tf.mul(slope, offset)); // [N, G, C/G]
      const slopes = tf.tile(slope, [1, 1, perGroup]); // [N, G, C/G]
      const scaled = tf.mul(dy, perPixel(scale)); // [N, H, W, C]
      const dx = tf.add(scaled, tf.add(tf.mul(centred, perPixel(slopes)), perPixel(constant)));
      const dWeight = tf.sum(tf.mul(dScale, inverse), 0); // [G, C/G]
      return [dx, tf.reshape(dWeight, [C]), tf.reshape(tf.sum(dShift, 0), [C])];
    },
  );
}
