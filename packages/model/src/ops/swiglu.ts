import * as tf from "@tensorflow/tfjs-core";

/**
 * `silu(gate) · up`, where `silu(a) = a · sigmoid(a)`; element-wise, with a hand-written gradient.
 * Source: Shazeer 2020; LlamaGen `FeedForward` (`F.silu(w1(x)) * w3(x)`).
 *
 * @param gate any shape
 * @param up the same shape
 */
export function swiglu<T extends tf.Tensor>(gate: T, up: T): T {
  return swigluWithGradient(gate, up) as T;
}

const swigluWithGradient = tf.customGrad((...args) => {
  const [gate, up, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
  const sigmoid = tf.sigmoid(gate);
  const activated = tf.mul(gate, sigmoid);
  save([sigmoid, activated, up]);
  return { value: tf.mul(activated, up), gradFunc: swigluGradient };
});

function swigluGradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
  const [sigmoid, activated, up] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
  return [tf.mul(tf.mul(dy, up), siluSlope(sigmoid, activated)), tf.mul(dy, activated)];
}

/** `a · sigmoid(a)`, element-wise, with a hand-written gradient. */
export function silu<T extends tf.Tensor>(x: T): T {
  return siluWithGradient(x) as T;
}

const siluWithGradient = tf.customGrad((...args) => {
  const [x, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
  const sigmoid = tf.sigmoid(x);
  const activated = tf.mul(x, sigmoid);
  save([sigmoid, activated]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => [tf.mul(dy, siluSlope(saved[0]!, saved[1]!))];
  return { value: activated, gradFunc };
});

/** d silu / da = s + a·s·(1 - s) = s + silu - silu·s. */
const siluSlope = (sigmoid: tf.Tensor, activated: tf.Tensor): tf.Tensor =>
  tf.sub(tf.add(sigmoid, activated), tf.mul(activated, sigmoid));
