import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import type { Tolerance } from "./reference";

interface Values {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Passes where every element is finite and `|a − e| <= atol + rtol · |e|`; shapes must agree. */
export function expectClose(name: string, actual: Values, expected: Values, { atol, rtol }: Tolerance): void {
  expect(actual.shape, `${name}: shape`).toEqual(expected.shape);
  expect(actual.data.length, `${name}: length`).toBe(expected.data.length);
  let worst = { index: -1, excess: 0 };
  for (let i = 0; i < expected.data.length; i++) {
    const [a, e] = [actual.data[i]!, expected.data[i]!];
    if (!Number.isFinite(a) || !Number.isFinite(e)) expect.fail(`${name}[${i}]: ${a}, expected ${e}`);
    const excess = Math.abs(a - e) - (atol + rtol * Math.abs(e));
    if (excess > worst.excess) worst = { index: i, excess };
  }
  if (worst.index >= 0) {
    const { index } = worst;
    expect.fail(
      `${name}[${index}]: ${actual.data[index]}, expected ${expected.data[index]} (atol ${atol}, rtol ${rtol})`,
    );
  }
}

/** A tensor's values. */
export const valuesOf = (tensor: tf.Tensor): Values => ({ shape: tensor.shape, data: tensor.dataSync() });

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
