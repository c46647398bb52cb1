import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import { shift } from "./conv";

/**
 * Convolution of any size over images with one row and column of zeros added on every side: NHWC images, OIHW filters. For
 * PatchGAN's 4×4 filters, which "same" does not describe. Gradients are written out as those of `conv`.
 *
 * @param x `[N, H, W, I]`
 * @param weight `[O, I, K, K]`
 * @returns `[N, h, w, O]`, h = floor((H + 2 - K) / stride) + 1
 */
export function paddedConv(x: tf.Tensor4D, weight: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  return withGradient(
    [x, weight],
    (image, w) => ({
      value: tf.conv2d(pad(image), channelsLastFilter(w), stride, "valid") as tf.Tensor4D,
      saved: [image, w],
    }),
    (dy, [image, w]) => [imageGradient(image, w, dy, stride), filterGradient(image, w, dy, stride)],
  );
}

const pad = (x: tf.Tensor4D): tf.Tensor4D =>
  tf.pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);

/** `[O, I, K, K]` → `[K, K, I, O]` */
const channelsLastFilter = (weight: tf.Tensor4D): tf.Tensor4D => tf.transpose(weight, [2, 3, 1, 0]);

function imageGradient(x: tf.Tensor4D, weight: tf.Tensor4D, dy: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  const [N, H, W, I] = x.shape;
  const padded = tf.conv2dTranspose(dy, channelsLastFilter(weight), [N, H + 2, W + 2, I], stride, "valid");
  return tf.slice(padded, [0, 1, 1, 0], [-1, H, W, I]);
}

/** For each place in the filter, `dy` times the image shifted to that place, summed over pixels and images. */
function filterGradient(x: tf.Tensor4D, weight: tf.Tensor4D, dy: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  const [O, I, K] = weight.shape;
  const [, h, w] = dy.shape;
  const image = tf.transpose(pad(x), [0, 3, 1, 2]); // [N, I, H + 2, W + 2]
  const pixels = tf.reshape(tf.transpose(dy, [0, 3, 1, 2]), [-1, O, h * w]); // [N, O, h·w]
  const places = Array.from({ length: K * K }, (_, place) => {
    const shifted = shift(image, Math.floor(place / K), place % K, h, w, stride); // [N, I, h, w]
    return tf.sum(tf.matMul(pixels, tf.reshape(shifted, [-1, I, h * w]), false, true), 0); // [O, I]
  });
  return tf.reshape(tf.stack(places, 2), [O, I, K, K]);
}
