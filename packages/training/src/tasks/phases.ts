import { TensorARError } from "@tensorar/core";
import type { Condition, TensorARModel } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import type { ParameterRates } from "./optimize";

/** How the base model takes part in a fine-tuning. */
export interface PhaseOptions {
  /**
   * Steps of a first phase, in which only the output decoder is trained, so that fresh drafts do not disturb the rest; default 0. The
   * rates of the other parameters then rise from 0 in as many steps again.
   */
  readonly draftSteps?: number;
  /** Factor of the base model's learning rate, after that phase; default 1. */
  readonly bodyRate?: number;
  /** Leaves the base model as it is, to the bit: it gains drafts, and predicts final tokens as before. Default no. */
  readonly freezeBase?: boolean;
}

/** Parameters of the modules that tell drafts from the state of the body, and of those that read drafts. */
const OUTPUT = "tensorar.output.";
const INPUT = "tensorar.input.";

/** 0 up to the end of the first phase, then up to 1 in as many steps again: drafts that are read all at once do harm. */
const risen = (step: tf.Tensor, draftSteps: number): tf.Tensor =>
  tf.clipByValue(tf.div(tf.sub(tf.cast(step, "float32"), draftSteps), draftSteps), 0, 1);

/** @throws TensorARError where the base is to be frozen and the model would predict final tokens otherwise */
export function phasedRates(model: TensorARModel<Condition>, options: PhaseOptions): ParameterRates {
  const { draftSteps = 0, bodyRate = 1, freezeBase = false } = options;
  if (model.windowSize === 1) {
    if (freezeBase) throw new TensorARError("freezeBase: a window of 1 leaves nothing to train; use a larger window");
    return {};
  }
  if (freezeBase) {
    if (model.evidence !== "explicit")
      throw new TensorARError(
        "freezeBase: with implicit evidence the modules change how final tokens are predicted; use explicit evidence",
      );
    // The input encoder adds nothing as long as it is at its start.
    return { isFrozen: (name) => !name.startsWith("tensorar.") || name.startsWith(INPUT) };
  }
  if (draftSteps === 0 && bodyRate === 1) return {};
  return {
    rateOf(name, step) {
      if (name.startsWith(OUTPUT)) return 1;
      const later = draftSteps === 0 ? tf.scalar(1) : risen(step, draftSteps); // []
      return name.startsWith("tensorar.") ? later : tf.mul(later, bodyRate);
    },
  };
}
