import { TensorARError } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import type { NoiseSchedule } from "@tensorar/noise";
import type { TensorAROptions } from "@tensorar/training";
import type { Settings as FinetuneSettings } from "./declarations/finetune";
import type { Settings as PretrainSettings } from "./declarations/pretrain";

type Settings = FinetuneSettings | PretrainSettings;

/**
 * How TensorAR is attached, as the settings say it.
 * @param subTokens whether tokens of the model consist of several
 * @throws TensorARError naming flags that do not go together
 */
export function tensorarOptions(settings: Settings, subTokens: boolean): TensorAROptions {
  const { windowSize, depth, structure, hidden, blank, randomRates, past } = settings;
  const { evidence = subTokens || windowSize === 1 ? "implicit" : "explicit" } = settings;
  return { windowSize, depth, structure, evidence, noise: scheduleOf(settings), hidden, blank, randomRates, past };
}

function scheduleOf({ noise, noiseRate, noiseRates, windowSize }: Settings): NoiseSchedule {
  if (noiseRates !== undefined) {
    if (noiseRates.length !== windowSize - 1)
      throw new TensorARError(
        `--noise-rates ${noiseRates.join(",")}: ${noiseRates.length} numbers for a window of ${windowSize}; give ${windowSize - 1}`,
      );
    return { kind: "custom", rates: [0, ...noiseRates] };
  }
  return noise === "exponential" && noiseRate !== undefined ? { kind: noise, rate: noiseRate } : { kind: noise };
}

/**
 * Steps between losses on held-out images; undefined where there are none, or none are wanted.
 * @throws TensorARError where training is to end by losses on held-out images, and there are none
 */
export function validationOf({ validateEvery, patience, codes }: Settings, { validation }: Codes): number | undefined {
  if (validateEvery === 0) return undefined;
  if (validation.length > 0) return validateEvery;
  if (patience === undefined) return undefined;
  throw new TensorARError(`--patience ${patience}: ${codes} holds out no images for validation; leave it out`);
}
