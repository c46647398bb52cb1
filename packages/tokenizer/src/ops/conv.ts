import * as tf from "@tensorflow/tfjs-core";
import { type Params, parameter } from "../parameters";
import { withGradient } from "./with-gradient";

const SIZE = 3;

/**
 * 3×3 convolution with bias: NHWC images, OIHW filters.
 *
 * The gradients are written out with convolutions and matrix products: some backends have no kernel for the filter's
 * gradient, and in ONNX Runtime this takes half the time of a convolution whose filter is as large as the image.
 *
 * @param x `[N, H, W, I]`
 * @param stride with 2, H and W are even, and a row and a column are added at the bottom and right only. That is the
 *   original's `pad (0, 1, 0, 1)`, and what "same" means for such a filter.
 * @returns `[N, H / stride, W / stride, O]`
 */
export function conv(params: Params, name: string, x: tf.Tensor4D, stride: 1 | 2 = 1): tf.Tensor4D {
  const weight = parameter<tf.Tensor4D>(params, `${name}.weight`);
  const bias = parameter<tf.Tensor1D>(params, `${name}.bias`);
  return withGradient(
    [x, weight, bias],
    (image, w, b) => {
      const value: tf.Tensor4D = tf.add(tf.conv2d(image, channelsLastFilter(w), stride, "same"), b);
      return { value, saved: [image, w] };
    },
    (dy, [image, w]) => [imageGradient(image, w, dy, stride), filterGradient(image, dy, stride), tf.sum(dy, [0, 1, 2])],
  );
}

/** `[O, I, kh, kw]` → `[kh, kw, I, O]` */
const channelsLastFilter = (weight: tf.Tensor4D): tf.Tensor4D => tf.transpose(weight, [2, 3, 1, 0]);

/** With stride 1 the gradient of the image is `dy`, convolved with the filter turned by 180° and its channels swapped. */
function imageGradient(x: tf.Tensor4D, weight: tf.Tensor4D, dy: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  if (stride === 2) return tf.conv2dTranspose(dy, channelsLastFilter(weight), x.shape, stride, "same");
  const turned = tf.transpose(tf.reverse(weight, [2, 3]), [2, 3, 0, 1]) as tf.Tensor4D; // [kh, kw, O, I]
  return tf.conv2d(dy, turned, 1, "same"); // [N, H, W, I]
}

/** For each place in the filter, `dy` times the image shifted to that place, summed over pixels and images. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, stride: 1 | 2): tf.Tensor4D {
  const [, h, w, O] = dy.shape;
  const I = x.shape[3];
  const edge: [number, number] = stride === 1 ? [1, 1] : [0, 1];
  const padded = tf.pad(tf.transpose(x, [0, 3, 1, 2]), [[0, 0], [0, 0], edge, edge]); // [N, I, H + …, W + …]
  const pixels = tf.reshape(tf.transpose(dy, [0, 3, 1, 2]), [-1, O, h * w]); // [N, O, h·w]
  const places = Array.from({ length: SIZE * SIZE }, (_, place) => {
    const shifted = shift(padded, Math.floor(place / SIZE), place % SIZE, h, w, stride); // [N, I, h, w]
    return tf.sum(tf.matMul(pixels, tf.reshape(shifted, [-1, I, h * w]), false, true), 0); // [O, I]
  });
  return tf.reshape(tf.stack(places, 2), [O, I, SIZE, SIZE]);
}

/** `h` rows from `top` and `w` columns from `left`, each `stride` apart, of `[N, C, H, W]`. */
function shift(x: tf.Tensor, top: number, left: number, h: number, w: number, stride: 1 | 2): tf.Tensor {
  if (stride === 1) return tf.slice(x, [0, 0, top, left], [-1, -1, h, w]);
  const end = [0, 0, top + stride * (h - 1) + 1, left + stride * (w - 1) + 1];
  const WHOLE_BATCH_AND_CHANNELS = 0b0011;
  return tf.stridedSlice(x, [0, 0, top, left], end, [1, 1, stride, stride], 0, WHOLE_BATCH_AND_CHANNELS);
}

/**
 * 1×1 convolution, which is a matrix product over channels.
 * @param x `[..., I]`
 * @returns `[..., O]`
 */
export function pointwise<T extends tf.Tensor>(params: Params, name: string, x: T): T {
  const weight = parameter<tf.Tensor4D>(params, `${name}.weight`); // [O, I, 1, 1]
  const [O, I] = weight.shape;
  const rows = tf.reshape(x, [-1, I]);
  const y = tf.add(tf.matMul(rows, tf.reshape(weight, [O, I]), false, true), parameter(params, `${name}.bias`));
  return tf.reshape(y, [-1, ...x.shape.slice(1, -1), O]) as T;
}
