import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "./parameters";
import { tidy } from "./tidy";

/** What a training step measures: the loss that is differentiated, and other tensors beside it. */
export type Metrics<M> = { readonly loss: tf.Tensor } & { readonly [K in keyof M]: tf.Tensor };

/**
 * The metrics of one forward pass and the gradient of `loss` for every parameter. Traceable; the caller owns both.
 *
 * @param forward runs once; its `loss` holds one number, and depends on every parameter
 * @throws Error of tfjs when the loss doesn't depend on a parameter
 */
export function lossAndGradients<M extends Metrics<M>>(
  params: Params,
  forward: (params: Params) => M,
): { metrics: M; grads: Params } {
  const names = Object.keys(params);
  const record = (values: readonly tf.Tensor[]): Params =>
    Object.fromEntries(names.map((name, i) => [name, values[i]!]));
  return tidy(() => {
    let metrics: M | undefined;
    const { grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      metrics = forward(record(values));
      for (const tensor of Object.values<tf.Tensor>(metrics)) tf.keep(tensor); // tfjs disposes of all but the loss
      return tf.reshape(metrics.loss, []) as tf.Scalar;
    })(names.map((name) => params[name]!));
    // Kept tensors outlive every tidy; clones belong to this scope, like the gradients.
    const owned = Object.fromEntries(
      Object.entries<tf.Tensor>(metrics!).map(([name, tensor]) => {
        const clone = tf.clone(tensor);
        tensor.dispose();
        return [name, clone];
      }),
    );
    return { metrics: owned as unknown as M, grads: record(grads) };
  });
}
