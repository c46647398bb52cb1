import type * as tf from "@tensorflow/tfjs-core";
import { TensorARError } from "./errors";

/** Parameters by the names of the original checkpoint, in PyTorch's layouts (convolutions are OIHW). */
export type Params = Readonly<Record<string, tf.Tensor>>;

/** The parameter `name`. @throws TensorARError when it is missing */
export function parameter<T extends tf.Tensor>(params: Params, name: string): T {
  const tensor = params[name];
  if (tensor === undefined) {
    throw new TensorARError(`parameter "${name}" is missing; load it, or make all with initVq(config, seed)`);
  }
  return tensor as T;
}
