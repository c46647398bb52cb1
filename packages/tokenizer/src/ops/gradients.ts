import * as tf from "@tensorflow/tfjs-core";

/** `x` itself, through which no gradient flows. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((input) => ({
    value: tf.clone(input as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
  }))(x) as T;
}

/** The value of `quantized` with the gradient of `latents`: the straight-through estimator. Both of one shape. */
export function straightThrough<T extends tf.Tensor>(latents: T, quantized: T): T {
  return tf.customGrad((_latents, q) => ({
    value: tf.clone(q as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => [tf.clone(dy), tf.zerosLike(dy)],
  }))(latents, quantized) as T;
}

const SMALLEST_NORM = 1e-12;

/** Scales the last axis to length 1; vectors shorter than 1e-12 are divided by that instead (`F.normalize`). */
export function unitLength<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((input, save) => {
    const norm = tf.sqrt(tf.sum(tf.square(input as tf.Tensor), -1, true)); // [..., 1]
    const inverse = tf.reciprocal(tf.maximum(norm, SMALLEST_NORM)); // [..., 1]
    const value = tf.mul(input as tf.Tensor, inverse);
    (save as tf.GradSaveFunc)([value, inverse]);
    return {
      value,
      // Written out: autodiff divides by the norm of a zero vector.
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [y, scale] = saved as [tf.Tensor, tf.Tensor];
        return tf.mul(scale, tf.sub(dy, tf.mul(y, tf.sum(tf.mul(dy, y), -1, true))));
      },
    };
  })(x) as T;
}

/**
 * Rows of a table, `[V, e]` at int32 `[M]` → `[M, e]`, differentiable in the table. `tf.gather` refuses to be
 * differentiated where its indices were computed from something that is differentiated too.
 */
export function rowsAt(table: tf.Tensor2D, indices: tf.Tensor1D): tf.Tensor2D {
  const [V] = table.shape;
  return tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([indices]);
    return {
      value: tf.gather(input as tf.Tensor, indices),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.unsortedSegmentSum(dy, saved[0] as tf.Tensor1D, V),
    };
  })(table) as tf.Tensor2D;
}
