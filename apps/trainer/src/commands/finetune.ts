import { type CommandBody, startProgress } from "@tensorar/cli";
import { loadCodes } from "@tensorar/data";
import { loadBackbone, loadModel } from "@tensorar/model/node";
import { finetuneTask, fitCodes, type TensorAROptions, train, trainingConditions } from "@tensorar/training";
import type { Settings } from "../declarations/finetune";
import { recipeOf } from "../recipe";
import { tensorarOptions, validationOf } from "../tensorar-options";

/** Phases that leave a base model whole; the paper trains everything from the first step on. */
function phasesOf(
  { draftSteps, bodyRate, freezeBase, steps, lossWeights }: Settings,
  { evidence, windowSize }: TensorAROptions,
) {
  const gentle = evidence === "explicit" && !freezeBase;
  return {
    freezeBase,
    lossWeights: lossWeights ?? (gentle ? [1, ...new Array<number>(windowSize - 1).fill(0.3)] : undefined),
    draftSteps: draftSteps ?? (gentle ? Math.min(150, Math.floor(steps / 4)) : 0),
    bodyRate: bodyRate ?? (gentle ? 0.1 : 1),
  };
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { base: dir } = settings;
    const own = await loadBackbone(settings.backbone);
    const model = await loadModel(dir, own);
    const { codes, note } = fitCodes(model, dir, await loadCodes(settings.codes), settings.codes);
    const tensorar = tensorarOptions(settings, model.model.backbone.factors !== undefined);
    if (note !== undefined) console.log(note);
    const conditions = await trainingConditions(model, dir, codes, settings.captions);
    const task = finetuneTask({ model, dir, own }, codes, conditions, tensorar, {
      ...settings,
      ...phasesOf(settings, tensorar),
      selfFraction: settings.inputs === "self" ? settings.selfFraction : 0,
    });
    await train(task, {
      ...settings,
      out: settings.output,
      validateEvery: validationOf(settings, codes),
      recipe: recipeOf(settings),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`model written to ${settings.output}`);
  },
};
