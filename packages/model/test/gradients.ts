import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "../src";

/** Loss and its gradient for every parameter; the caller's. */
export function lossAndGradients(
  params: Params,
  loss: (params: Params) => tf.Tensor,
): { loss: tf.Scalar; grads: Params } {
  const names = Object.keys(params);
  const record = (values: tf.Tensor[]) => Object.fromEntries(names.map((name, i) => [name, values[i]!]));
  const compute = tf.valueAndGrads((...values: tf.Tensor[]) => loss(record(values)).asScalar());
  const { value, grads } = compute(names.map((name) => params[name]!));
  return { loss: value as tf.Scalar, grads: record(grads) };
}
