import * as tf from "@tensorflow/tfjs-core";

/** The exact GELU, `x · Φ(x)`, element-wise. Source: Hendrycks & Gimpel 2016; `torch.nn.functional.gelu`. */
export const gelu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5));
