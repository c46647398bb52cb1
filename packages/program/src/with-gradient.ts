import * as tf from "@tensorflow/tfjs-core";

/**
 * An operation with a written-out gradient: `tf.customGrad` with types, and with what is kept for the gradient as a
 * result instead of a side effect.
 *
 * @param inputs what the gradient is taken with respect to
 * @param forward the value, and the tensors that `backward` needs
 * @param backward from the gradient of the value to one gradient for each input
 */
export function withGradient<
  const I extends readonly tf.Tensor[],
  O extends tf.Tensor,
  const S extends readonly tf.Tensor[],
>(
  inputs: I,
  forward: (...inputs: I) => { value: O; saved: S },
  backward: (dy: O, saved: S) => readonly tf.Tensor[],
): O {
  const operation = tf.customGrad<O>((...given) => {
    const save = given[given.length - 1] as tf.GradSaveFunc;
    const { value, saved } = forward(...(given.slice(0, -1) as readonly tf.Tensor[] as I));
    save([...saved]);
    return { value, gradFunc: (dy, kept) => [...backward(dy, kept as readonly tf.Tensor[] as S)] };
  });
  return operation(...inputs);
}
