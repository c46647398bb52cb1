import { TensorARError } from "@tensorar/core";
import type { Backbone, Condition } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";

// `../conditioning` as tensors. B images · P prompt tokens

type ByName = Readonly<Record<string, tf.Tensor>>;
export type Unconditional = (condition: Condition) => Condition;

/**
 * What stands for "none" beside conditions in guidance: the unconditional class, the caption dropped, or padding inside the prompt, as
 * `classLabels`, `captionFeatures` and `promptTokens` have it. Traceable.
 *
 * @param padId the text token of padding, where conditions are prompts
 * @throws TensorARError for models of classes that were trained without one for "none"
 */
export function unconditionalOf(
  { condition, unconditionalClass }: Pick<Backbone<Condition>, "condition" | "unconditionalClass">,
  padId: number | undefined,
): Unconditional {
  if ("prompt" in condition) {
    if (padId === undefined)
      throw new TensorARError("prompts need padId, the text token that stands for none; it is in the model's config");
    return (given) => ({ ...partsOf(given), prompt: paddedInside(partsOf(given), padId) });
  }
  if ("dropped" in condition) return (given) => ({ ...partsOf(given), dropped: tf.onesLike(partsOf(given).dropped!) });
  if (unconditionalClass < 0)
    throw new TensorARError(
      "a graph of end-to-end generation guides, and this model has no class for none; export its steps instead",
    );
  return (given) => tf.fill(tensorOf(given).shape, unconditionalClass, "int32");
}

/** What `change` makes of a condition and of the other that lies beside it: of one tensor each, or of each by name. */
export function zipConditions(
  a: Condition,
  b: Condition,
  change: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Condition {
  if (isTensor(a)) return change(a, tensorOf(b));
  return Object.fromEntries(Object.entries(a).map(([name, part]) => [name, change(part, partsOf(b)[name]!)]));
}

const isTensor = (condition: Condition): condition is tf.Tensor => condition instanceof tf.Tensor;

function tensorOf(condition: Condition): tf.Tensor {
  if (isTensor(condition)) return condition;
  throw new TensorARError(`the condition is ${Object.keys(condition).join(", ")}; this model takes one tensor`);
}

function partsOf(condition: Condition): ByName {
  if (!isTensor(condition)) return condition;
  throw new TensorARError("the condition is one tensor; this model takes several by name");
}

/** All but the first and the last token replaced; tokens left of the first are padding. */
function paddedInside({ prompt, mask }: ByName, padId: number): tf.Tensor {
  const first = tf.equal(tf.cumsum(mask!, 1), mask!); // [B, P]: 1 = 1 at the first token, 0 = 0 left of it
  const last = tf.less(tf.cumsum(tf.onesLike(mask!), 1, false, true), 2); // counts from the right
  const kept = tf.cast(tf.logicalOr(first, last), "int32");
  const one = tf.scalar(1, "int32");
  return tf.add(tf.mul(prompt!, kept), tf.mul(tf.sub(one, kept), tf.scalar(padId, "int32")));
}
