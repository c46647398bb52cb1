import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";
import { type Params, parameter } from "../parameters";

const SIZE = 3;

/** How a 3×3 convolution differs from one with bias that keeps the size of its image. */
export interface ConvOptions {
  /** Default `true`. */
  readonly bias?: boolean;
  /**
   * Stride 2 over images of even sides, to which a row and a column of zeros are added: at the bottom and right
   * ("end"; for such a filter that is what "same" means), or at the top and left ("start"; an original that pads all
   * four sides by one does so, as its last row and column are never reached).
   */
  readonly halve?: "start" | "end";
}

/**
 * 3×3 convolution: NHWC images, OIHW filters.
 *
 * The gradients are written out with convolutions and matrix products: some backends have no kernel for the filter's
 * gradient, and in ONNX Runtime this takes half the time of a convolution whose filter is as large as the image.
 *
 * @param x `[N, H, W, I]`
 * @returns `[N, H, W, O]`, or half as high and wide
 */
export function conv(params: Params, name: string, x: tf.Tensor4D, options: ConvOptions = {}): tf.Tensor4D {
  const weight = parameter<tf.Tensor4D>(params, `${name}.weight`);
  const { bias = true, halve } = options;
  const y = filtered(x, weight, halve);
  return bias ? addBias(y, parameter<tf.Tensor1D>(params, `${name}.bias`)) : y;
}

type Halve = ConvOptions["halve"];

function filtered(x: tf.Tensor4D, weight: tf.Tensor4D, halve: Halve): tf.Tensor4D {
  return withGradient(
    [x, weight],
    (image, w) => {
      const [from, padding] = halve === "start" ? [padStart(image), "valid" as const] : [image, "same" as const];
      const value: tf.Tensor4D = tf.conv2d(from, channelsLastFilter(w), halve ? 2 : 1, padding);
      return { value, saved: [image, w] };
    },
    (dy, [image, w]) => [imageGradient(image, w, dy, halve), filterGradient(image, dy, halve)],
  );
}

/** Adds `[O]` to every pixel. */
function addBias(x: tf.Tensor4D, bias: tf.Tensor1D): tf.Tensor4D {
  return withGradient(
    [x, bias],
    (image, b) => ({ value: tf.add(image, b) as tf.Tensor4D, saved: [] }),
    (dy) => [tf.clone(dy), tf.sum(dy, [0, 1, 2])],
  );
}

/** A row of zeros at the top, a column of zeros on the left. */
const padStart = (x: tf.Tensor4D): tf.Tensor4D =>
  tf.pad(x, [
    [0, 0],
    [1, 0],
    [1, 0],
    [0, 0],
  ]);

/** `[O, I, kh, kw]` → `[kh, kw, I, O]` */
const channelsLastFilter = (weight: tf.Tensor4D): tf.Tensor4D => tf.transpose(weight, [2, 3, 1, 0]);

/** With stride 1 the gradient of the image is `dy`, convolved with the filter turned by 180° and its channels swapped. */
function imageGradient(x: tf.Tensor4D, weight: tf.Tensor4D, dy: tf.Tensor4D, halve: Halve): tf.Tensor4D {
  if (halve === undefined) {
    const turned = tf.transpose(tf.reverse(weight, [2, 3]), [2, 3, 0, 1]) as tf.Tensor4D; // [kh, kw, O, I]
    return tf.conv2d(dy, turned, 1, "same"); // [N, H, W, I]
  }
  if (halve === "end") return tf.conv2dTranspose(dy, channelsLastFilter(weight), x.shape, 2, "same");
  const [N, H, W, I] = x.shape;
  const padded = tf.conv2dTranspose(dy, channelsLastFilter(weight), [N, H + 1, W + 1, I], 2, "valid");
  return tf.slice(padded, [0, 1, 1, 0], [-1, H, W, I]);
}

/** For each place in the filter, `dy` times the image shifted to that place, summed over pixels and images. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, halve: Halve): tf.Tensor4D {
  const [, h, w, O] = dy.shape;
  const I = x.shape[3];
  const stride = halve ? 2 : 1;
  const edge: [number, number] = [halve === "end" ? 0 : 1, halve === "start" ? 0 : 1];
  const padded = tf.pad(tf.transpose(x, [0, 3, 1, 2]), [[0, 0], [0, 0], edge, edge]); // [N, I, H + …, W + …]
  const pixels = tf.reshape(tf.transpose(dy, [0, 3, 1, 2]), [-1, O, h * w]); // [N, O, h·w]
  const places = Array.from({ length: SIZE * SIZE }, (_, place) => {
    const shifted = shift(padded, Math.floor(place / SIZE), place % SIZE, h, w, stride); // [N, I, h, w]
    return tf.sum(tf.matMul(pixels, tf.reshape(shifted, [-1, I, h * w]), false, true), 0); // [O, I]
  });
  return tf.reshape(tf.stack(places, 2), [O, I, SIZE, SIZE]);
}

/** `h` rows from `top` and `w` columns from `left`, each `stride` apart, of `[N, C, H, W]`. */
export function shift(x: tf.Tensor, top: number, left: number, h: number, w: number, stride: 1 | 2): tf.Tensor {
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
export function pointwise<T extends tf.Tensor>(params: Params, name: string, x: T, bias = true): T {
  const weight = parameter<tf.Tensor4D>(params, `${name}.weight`); // [O, I, 1, 1]
  const [O, I] = weight.shape;
  const rows = tf.reshape(x, [-1, I]);
  const product = tf.matMul(rows, tf.reshape(weight, [O, I]), false, true);
  const y = bias ? tf.add(product, parameter(params, `${name}.bias`)) : product;
  return tf.reshape(y, [-1, ...x.shape.slice(1, -1), O]) as T;
}
