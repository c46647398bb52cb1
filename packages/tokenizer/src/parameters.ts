import { TensorARError } from "@tensorar/core";
import type * as tf from "@tensorflow/tfjs-core";

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

/**
 * The entries below a prefix, without it: the tokenizer within a larger checkpoint, such as `"gen_vision_model."` of
 * Janus.
 * @param record parameters, or anything else by name
 * @throws TensorARError where no name begins with the prefix
 */
export function withoutPrefix<T>(record: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  const entries = Object.entries(record).filter(([name]) => name.startsWith(prefix));
  if (entries.length === 0) throw new TensorARError(`no parameter begins with "${prefix}"; check the prefix`);
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(prefix.length), value]));
}
