import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

/**
 * `silu(gate) · up`, where `silu(a) = a · sigmoid(a)`; element-wise, with a hand-written gradient.
 * Source: Shazeer 2020; LlamaGen `FeedForward` (`F.silu(w1(x)) * w3(x)`).
 *
 * @param gate any shape
 * @param up the same shape
 */
export function swiglu<T extends tf.Tensor>(gate: T, up: T): T {
  const forward = (gate: T, up: T) => {
    const sigmoid = tf.sigmoid(gate);
    const activated = tf.mul<T>(gate, sigmoid);
    return { value: tf.mul<T>(activated, up), saved: [sigmoid, activated, up] as const };
  };
  return withGradient([gate, up], forward, swigluGradient);
}

function swigluGradient(
  dy: tf.Tensor,
  [sigmoid, activated, up]: readonly [tf.Tensor, tf.Tensor, tf.Tensor],
): tf.Tensor[] {
  return [tf.mul(tf.mul(dy, up), siluSlope(sigmoid, activated)), tf.mul(dy, activated)];
}

/** `a · sigmoid(a)`, element-wise, with a hand-written gradient. */
export function silu<T extends tf.Tensor>(x: T): T {
  const forward = (x: T) => {
    const sigmoid = tf.sigmoid(x);
    const activated = tf.mul<T>(x, sigmoid);
    return { value: activated, saved: [sigmoid, activated] as const };
  };
  return withGradient([x], forward, (dy, [sigmoid, activated]) => [tf.mul(dy, siluSlope(sigmoid, activated))]);
}

/** d silu / da = s + a·s·(1 - s) = s + silu - silu·s. */
const siluSlope = (sigmoid: tf.Tensor, activated: tf.Tensor): tf.Tensor =>
  tf.sub(tf.add(sigmoid, activated), tf.mul(activated, sigmoid));
