import * as tf from "@tensorflow/tfjs-core";

export type Params = Record<string, tf.Tensor>;

/**
 * Loss, its gradient with respect to every entry of `params`, and whatever else `forward` computed on the way.
 * `forward` runs once; its extra results are kept without differentiating through them.
 */
export function lossAndGradients<Extra extends tf.NamedTensorMap>(
  params: Params,
  forward: (params: Params) => { loss: tf.Tensor; extra: Extra },
): { loss: tf.Scalar; extra: Extra; grads: Params } {
  const names = Object.keys(params);
  let extra: Extra | undefined;
  const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const result = forward(Object.fromEntries(names.map((name, i) => [name, values[i]!])));
    extra = Object.fromEntries(Object.entries(result.extra).map(([key, tensor]) => [key, tf.keep(tensor)])) as Extra;
    return tf.reshape(result.loss, []) as tf.Scalar;
  })(names.map((name) => params[name]!));
  // Kept tensors outlive every tidy; clones belong to the caller's scope like `value` and `grads` do.
  const released = Object.fromEntries(
    Object.entries(extra!).map(([key, tensor]) => {
      const clone = tf.clone(tensor);
      tensor.dispose();
      return [key, clone];
    }),
  ) as Extra;
  return {
    loss: value as tf.Scalar,
    extra: released,
    grads: Object.fromEntries(names.map((name, i) => [name, grads[i]!])),
  };
}
