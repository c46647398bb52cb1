import { MASK_VALUE } from "@tensorar/core";
import * as tf from "@tensorflow/tfjs-core";
import type { ConditionSpec } from "./backbone";
import { expectShape } from "./shapes";
import { tidy } from "./tidy";

// R rows · P prompt tokens

/** Prompts of a batch. */
export interface PromptCondition extends Readonly<Record<string, tf.Tensor>> {
  /** int32 [R, P]: text tokens; prompts shorter than P are padded on the left, with any token. */
  readonly prompt: tf.Tensor;
  /** float32 [R, P]: 1, or 0 where a position is such padding. */
  readonly mask: tf.Tensor;
}

/** The parts of a {@link PromptCondition} of one image. */
export const PROMPT_CONDITION: Readonly<Record<"prompt" | "mask", ConditionSpec>> = {
  prompt: { dtype: "int32", shape: ["prompt"] },
  mask: { dtype: "float32", shape: ["prompt"] },
};

/** float32 [R, P], added to scores: 0, or {@link MASK_VALUE} where a position is padding. */
export const promptMask = ({ prompt, mask }: PromptCondition): tf.Tensor =>
  tidy(() => {
    expectShape("conditionMask", "mask", mask, prompt.shape);
    return tf.mul(tf.sub(1, mask), MASK_VALUE);
  });

/** A template with a description in place of `{}`. */
export const promptOf = (template: string, description: string): string => template.replace("{}", () => description);
