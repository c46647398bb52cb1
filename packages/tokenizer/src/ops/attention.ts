import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "../parameters";
import { pointwise } from "./conv";
import { groupNorm } from "./group-norm";

/** Residual self-attention with one head over all pixels: `[N, H, W, C]` → the same shape. */
export function attention(params: Params, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const [, H, W, C] = x.shape;
  const pixels = tf.reshape(groupNorm(params, `${name}.norm`, x), [-1, H * W, C]) as tf.Tensor3D; // [N, HW, C]
  const q = pointwise(params, `${name}.q`, pixels); // [N, HW, C]
  const k = pointwise(params, `${name}.k`, pixels);
  const v = pointwise(params, `${name}.v`, pixels);
  const scores = tf.matMul(tf.mul(q, C ** -0.5), k, false, true); // [N, HW, HW]
  const mixed = pointwise(params, `${name}.proj_out`, tf.matMul(tf.softmax(scores), v) as tf.Tensor3D);
  return tf.add(x, tf.reshape(mixed, [-1, H, W, C]));
}
