import { TensorARError } from "@tensorar/core";
import type { Condition } from "@tensorar/model";
import { type ModelFolder, modelOf } from "@tensorar/model/node";
import * as tf from "@tensorflow/tfjs-core";

// B images · P prompt tokens

/**
 * What stands for "none" beside conditions in guidance, as tensors: the null class, the caption dropped, or padding inside the
 * prompt, as `classLabels`, `captionFeatures` and `promptTokens` of `@tensorar/sampler` have it. Traceable.
 *
 * @throws TensorARError for models of classes that were trained without one for "none"
 */
export function unconditionalOf(folder: ModelFolder): (condition: Condition) => Condition {
  const { condition, nullCondition } = modelOf(folder).backbone;
  if ("prompt" in condition) {
    const { pad_id } = folder.backbone as { readonly pad_id: number };
    return (given) => ({ ...(given as Prompt), prompt: paddedInside(given as Prompt, pad_id) });
  }
  if ("dropped" in condition) {
    return (given) => {
      const caption = given as Readonly<Record<string, tf.Tensor>>;
      return { ...caption, dropped: tf.onesLike(caption.dropped!) };
    };
  }
  if (nullCondition < 0)
    throw new TensorARError(
      "a whole-generation graph guides, and this model has no class for none; export its steps instead",
    );
  return (given) => tf.fill((given as tf.Tensor).shape, nullCondition, "int32");
}

type Prompt = Readonly<Record<"prompt" | "mask", tf.Tensor>>;

/** All but the first and the last token replaced; tokens left of the first are padding. */
function paddedInside({ prompt, mask }: Prompt, padId: number): tf.Tensor {
  const first = tf.equal(tf.cumsum(mask, 1), mask); // [B, P]: 1 = 1 at the first token, 0 = 0 left of it
  const last = tf.less(tf.cumsum(tf.onesLike(mask), 1, false, true), 2); // counts from the right
  const kept = tf.cast(tf.logicalOr(first, last), "int32");
  const one = tf.scalar(1, "int32");
  return tf.add(tf.mul(prompt, kept), tf.mul(tf.sub(one, kept), tf.scalar(padId, "int32")));
}
