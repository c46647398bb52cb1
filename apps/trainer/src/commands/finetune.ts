import { type CommandBody, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { loadCodes } from "@tensorar/data";
import { loadBackbone, loadModel } from "@tensorar/model/node";
import type { NoiseSchedule } from "@tensorar/noise";
import { finetuneTask, fitCodes, train, trainingConditions } from "@tensorar/training";
import type { Settings } from "../declarations/finetune";
import { recipeOf } from "../recipe";

function scheduleOf(noise: Settings["noise"], rate: number | undefined): NoiseSchedule {
  if (noise === "exponential") return rate === undefined ? { kind: noise } : { kind: noise, rate };
  if (rate !== undefined)
    throw new TensorARError(
      `--noise-rate ${rate} belongs to the exponential schedule, not to "${noise}"; leave it out`,
    );
  return { kind: noise };
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { base: dir, windowSize, depth, structure } = settings;
    const own = await loadBackbone(settings.backbone);
    const model = await loadModel(dir, own);
    const { codes, note } = fitCodes(model, dir, await loadCodes(settings.codes), settings.codes);
    const noise = scheduleOf(settings.noise, settings.noiseRate);
    if (note !== undefined) console.log(note);
    const conditions = await trainingConditions(model, dir, codes, settings.captions);
    const selfShare = settings.inputs === "self" ? settings.selfShare : 0;
    const task = finetuneTask(
      { model, dir, own },
      codes,
      conditions,
      { windowSize, depth, structure, noise },
      { ...settings, selfShare },
    );
    await train(task, {
      ...settings,
      out: settings.output,
      recipe: recipeOf(settings),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`model written to ${settings.output}`);
  },
};
