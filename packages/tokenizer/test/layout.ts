import { type Values, valuesOf } from "@tensorar/testing";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

/** An NHWC tensor's values in PyTorch's order, NCHW. */
export function channelsFirst(tensor: tf.Tensor): Values {
  const transposed = tf.transpose(tensor, [0, 3, 1, 2]);
  const values = valuesOf(transposed);
  transposed.dispose();
  return values;
}

/** An NHWC tensor of PyTorch's NCHW values. */
export const channelsLast = ({ shape, data }: { shape: readonly number[]; data: Float32Array }): tf.Tensor4D =>
  tf.tidy(() => tf.transpose(tf.tensor4d(data, shape as [number, number, number, number]), [0, 2, 3, 1]));

/** Tensors that `call` leaves behind, without those of its result, which are disposed; passes on what it throws. */
export function leaked(call: () => unknown): number {
  const before = tf.memory().numTensors;
  tf.dispose(call() as tf.TensorContainer);
  return tf.memory().numTensors - before;
}

/** Codes must agree, but where the original itself was undecided between two. */
export function expectCodes(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  undecided: (index: number) => boolean,
): void {
  expect(actual.length).toBe(expected.length);
  const different = Array.from(expected).flatMap((code, i) => (code !== actual[i] && !undecided(i) ? [i] : []));
  expect(different).toEqual([]);
}
