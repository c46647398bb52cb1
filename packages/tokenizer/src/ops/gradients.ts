import { withGradient } from "@tensorar/program";
import * as tf from "@tensorflow/tfjs-core";

/** `x` itself, through which no gradient flows. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return withGradient(
    [x],
    (input) => ({ value: tf.clone(input), saved: [] }),
    (dy) => [tf.zerosLike(dy)],
  );
}

/** The value of `quantized` with the gradient of `latents`: the straight-through estimator. Both of one shape. */
export function straightThrough<T extends tf.Tensor>(latents: T, quantized: T): T {
  return withGradient(
    [latents, quantized],
    (_, value) => ({ value: tf.clone(value), saved: [] }),
    (dy) => [tf.clone(dy), tf.zerosLike(dy)],
  );
}

const SMALLEST_NORM = 1e-12;

/**
 * Scales the last axis to length 1; vectors shorter than 1e-12 are divided by that instead (PyTorch's `F.normalize`).
 * The gradient is written out because autodiff divides by the length of a zero vector.
 */
export function unitLength<T extends tf.Tensor>(x: T): T {
  return withGradient(
    [x],
    (input) => {
      const length = tf.sqrt(tf.sum(tf.square(input), -1, true)); // [..., 1]
      const inverse = tf.reciprocal(tf.maximum(length, SMALLEST_NORM)); // [..., 1]
      const value = tf.mul(input, inverse) as T;
      return { value, saved: [value, inverse] };
    },
    (dy, [value, inverse]) => [tf.mul(inverse, tf.sub(dy, tf.mul(value, tf.sum(tf.mul(dy, value), -1, true))))],
  );
}

/**
 * Rows of a table, `[V, e]` at int32 `[M]` → `[M, e]`, differentiable in the table. `tf.gather` refuses to be
 * differentiated where its indices were computed from something that is differentiated too.
 */
export function rowsAt(table: tf.Tensor2D, indices: tf.Tensor1D): tf.Tensor2D {
  const [V, width] = table.shape;
  return withGradient(
    [table],
    (rows) => ({ value: tf.gather(rows, indices), saved: [indices] }),
    (dy, [at]) => [tf.scatterND(tf.expandDims(at, 1), dy, [V, width])], // repeated indices add up
  );
}
