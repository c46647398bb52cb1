import * as tf from "@tensorflow/tfjs-core";
import { type Params, parameter } from "../parameters";

/**
 * Convolution with bias: NHWC images, OIHW filters.
 * @param x `[N, H, W, I]`
 * @param stride with 2, rows and columns are added at the bottom and right only, which is what the original's
 *   `pad (0, 1, 0, 1)` does and what "same" means for a 3×3 filter over even sides
 * @returns `[N, H / stride, W / stride, O]`
 */
export function conv(params: Params, name: string, x: tf.Tensor4D, stride: 1 | 2 = 1): tf.Tensor4D {
  const weight = parameter<tf.Tensor4D>(params, `${name}.weight`); // [O, I, kh, kw]
  const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D; // [kh, kw, I, O]
  return tf.add(tf.conv2d(x, filter, stride, "same"), parameter(params, `${name}.bias`));
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
