import * as tf from "@tensorflow/tfjs-core";

/** `tf.tidy` for functions whose result is an interface, which tfjs' own type does not accept. */
export const tidy = <Result>(compute: () => Result): Result =>
  tf.tidy(compute as unknown as () => tf.TensorContainer) as unknown as Result;
