import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

/** `x · sigmoid(x)`, with a gradient that reads two stored tensors instead of walking the product rule. */
export function swish<T extends tf.Tensor>(x: T): T {
  return withGradient(
    [x],
    (input) => {
      const gate = tf.sigmoid(input);
      const value = tf.mul(input, gate) as T;
      return { value, saved: [gate, value] };
    },
    // d/dx = gate + x · gate · (1 − gate) = gate + value − value · gate
    (dy, [gate, value]) => [tf.mul(dy, tf.add(gate, tf.sub(value, tf.mul(value, gate))))],
  );
}
