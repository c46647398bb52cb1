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
  if (windowSize === 1) refuseNoise(settings);
  const { evidence = subTokens || windowSize === 1 ? "implicit" : "explicit" } = settings;
  return { windowSize, depth, structure, evidence, noise: scheduleOf(settings), hidden, blank, randomRates, past };
}

/** @throws TensorARError where entries are to be noised that a window of 1 does not have */
function refuseNoise({ hidden, blank, randomRates, past, evidence }: Settings): void {
  const given = { hidden, blank, "random-rates": randomRates, past, evidence: evidence === "explicit" && evidence };
  const found = Object.entries(given).find(([, value]) => value);
  if (found)
    throw new TensorARError(`--${found[0]} ${found[1]} needs a window of more than one token; give --window-size`);
}

function scheduleOf({ noise, noiseRate, noiseRates, windowSize }: Settings): NoiseSchedule {
  if (noiseRates !== undefined) {
    if (noiseRates.length !== windowSize - 1)
      throw new TensorARError(
        `--noise-rates ${noiseRates.join(",")}: ${noiseRates.length} numbers for a window of ${windowSize}; give ${windowSize - 1}`,
      );
    return { kind: "custom", rates: [0, ...noiseRates] };
  }
  if (noise === "exponential") return noiseRate === undefined ? { kind: noise } : { kind: noise, rate: noiseRate };
  if (noiseRate !== undefined)
    throw new TensorARError(
      `--noise-rate ${noiseRate} belongs to the exponential schedule, not to "${noise}"; leave it out`,
    );
  return { kind: noise };
}

/** Steps between losses on held-out images; undefined where there are none, or none are wanted. */
export const validationOf = ({ validateEvery }: Settings, { validation }: Codes): number | undefined =>
  validateEvery === 0 || validation.length === 0 ? undefined : validateEvery;
