import { TensorARError } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { ModuleSizes } from "./modules";
import { linear } from "./ops/linear";
import { rmsNorm } from "./ops/rms-norm";
import { silu } from "./ops/swiglu";
import { type ParameterShapes, type Params, parameter } from "./parameters";

// N positions of all rows · k window · D width

const PREFIX = "tensorar.output.chain";
const EPSILON = 1e-5;

/** Whether entries of a tensor are predicted one after the other. */
export const isChained = ({ structure, windowSize }: Pick<ModuleSizes, "structure" | "windowSize">): boolean =>
  structure === "chained" && windowSize > 1;

/** @throws TensorARError where a model's entries have to be drawn one after the other, and `what` draws them at once */
export function refuseChained(model: { readonly chained: boolean }, what: string): void {
  if (model.chained)
    throw new TensorARError(
      `${what} draws all entries of a tensor at once, which a model of structure "chained" does not predict so; draw its samples with \`tensorar sample\`, or train one of structure "gated"`,
    );
}

export function chainShapes(sizes: ModuleSizes): ParameterShapes {
  if (!isChained(sizes)) return {};
  const { width: D } = sizes;
  return {
    [`${PREFIX}.norm.weight`]: [D],
    [`${PREFIX}.entry.norm.weight`]: [D],
    [`${PREFIX}.state.weight`]: [D, D],
    [`${PREFIX}.last.weight`]: [D, D],
    [`${PREFIX}.before.weight`]: [D, D],
    [`${PREFIX}.out.weight`]: [D, D],
  };
}

/**
 * States of entries that know the entries before them in their tensor: `s_j = h_j + W · silu(A · norm(h_j) + B · e_(j-1) + C · mean(e_0 …
 * e_(j-2)))`, with e the normed embeddings of the codes. W starts at 0, so that a fresh chain changes nothing. Source: ours; that
 * heads which know what was drawn before propose better is from Ankner et al. 2024, "Hydra".
 *
 * @param states [N, m, D]: h_j of m entries in a row, the last ones of those that `embedded` comes before
 * @param embedded embeddings of the codes of entries 0, 1, … up to the one before the last of these, [N, D] each
 * @returns [N, m, D]
 */
export function chainStates(
  params: Params,
  sizes: ModuleSizes,
  states: tf.Tensor,
  embedded: readonly tf.Tensor[],
): tf.Tensor {
  const { width: D } = sizes;
  const shapes = chainShapes(sizes);
  const weight = <T extends tf.Tensor>(name: string): T => {
    const full = `${PREFIX}.${name}.weight`;
    return parameter<T>(params, full, shapes[full]!);
  };
  const count = states.shape[1]!;
  const entries = embedded.map((each) => rmsNorm(each as tf.Tensor2D, weight("entry.norm"), EPSILON)); // [N, D]
  const last = tf.stack(entries.slice(-count), 1); // [N, m, D]
  const before = tf.stack(meansBefore(entries).slice(-count), 1); // [N, m, D]
  const normed = rmsNorm(tf.reshape(states, [-1, D]) as tf.Tensor2D, weight("norm"), EPSILON);
  const flat = (x: tf.Tensor) => tf.reshape(x, [-1, D]) as tf.Tensor2D;
  const inner = tf.addN([
    linear(normed, weight("state")),
    linear(flat(last), weight("last")),
    linear(flat(before), weight("before")),
  ]);
  const change = linear(silu(inner as tf.Tensor2D), weight("out"));
  return tf.add(states, tf.reshape(change, [-1, count, D]));
}

/** Of each entry, the mean of all entries before it; 0 for the first. */
function meansBefore(entries: readonly tf.Tensor[]): tf.Tensor[] {
  let sum: tf.Tensor = tf.zerosLike(entries[0]!);
  return entries.map((entry, i) => {
    const mean = i === 0 ? sum : tf.div(sum, i);
    sum = tf.add(sum, entry);
    return mean;
  });
}
