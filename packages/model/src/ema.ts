import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { Params } from "./parameters";
import { tidy } from "./tidy";

/**
 * Exponential moving average of parameters: `decay · average + (1 - decay) · params`. Pure and traceable; the caller
 * owns the result.
 *
 * @param decay in [0, 1]
 * @throws TensorARError when the records differ in names, or decay is out of range
 */
export function emaUpdate(average: Params, params: Params, decay: number): Params {
  if (!(decay >= 0 && decay <= 1)) throw new TensorARError(`emaUpdate: decay ${decay} is out of range; pass 0 … 1`);
  const extra = Object.keys(average).find((name) => params[name] === undefined);
  if (extra !== undefined) throw new TensorARError(`emaUpdate: "${extra}" is averaged but not a parameter; remove it`);
  return tidy(() =>
    Object.fromEntries(
      Object.entries(params).map(([name, value]) => {
        const old = average[name];
        if (old === undefined)
          throw new TensorARError(`emaUpdate: "${name}" has no average; start it at the parameter`);
        return [name, tf.add(tf.mul(old, decay), tf.mul(value, 1 - decay))];
      }),
    ),
  );
}
