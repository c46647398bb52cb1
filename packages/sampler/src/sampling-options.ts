import { TensorARError } from "@tensorar/core";

/** How a code is drawn from one row of logits. Applied in this order, as in LlamaGen `autoregressive/models/generate.py`. */
export interface SamplingOptions {
  /** Divides the logits; > 0. Below 1 sharpens. */
  readonly temperature: number;
  /** Keep the K largest logits and whatever ties with the K-th; 0 keeps all. */
  readonly topK: number;
  /** Keep the fewest codes whose probabilities, largest first, add up to more than this; 1 keeps all. */
  readonly topP: number;
}

/** Every code of the model's own distribution, the default. */
export const UNFILTERED: SamplingOptions = { temperature: 1, topK: 0, topP: 1 };

/** @throws TensorARError naming the option that is out of range */
export function checkSampling({ temperature, topK, topP }: SamplingOptions): void {
  if (!(temperature > 0 && Number.isFinite(temperature)))
    throw new TensorARError(`temperature ${temperature} is out of range; use a positive number`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new TensorARError(`topK ${topK} is out of range; use a whole number, 0 to keep all codes`);
  if (!(topP > 0 && topP <= 1)) throw new TensorARError(`topP ${topP} is out of range; use more than 0 and at most 1`);
}
