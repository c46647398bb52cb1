import { TensorARError } from "@tensorar/core";
import { loadModel, type ModelDescription, type ModelFolder, modelOf, saveModel } from "@tensorar/model/node";
import { type NoiseSchedule, noiseRates } from "@tensorar/noise";
import type { CommandBody } from "../command";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { trainingConditions } from "../conditions/training-conditions";
import type { Settings } from "../declarations/finetune";
import { chooseEngine } from "../engine/choose-engine";
import { type Codes, loadCodes } from "../folders/codes-folder";
import { hostParams } from "../folders/host-params";
import { arTask } from "../training/ar-task";
import { pinRecipe } from "../training/recipe";
import { recipeOf, refuseOverwrite } from "../training/recipe-of";
import { train } from "../training/train";

function scheduleOf(noise: Settings["noise"], rate: number | undefined): NoiseSchedule {
  if (noise === "exponential") return rate === undefined ? { kind: noise } : { kind: noise, rate };
  if (rate !== undefined)
    throw new TensorARError(
      `--noise-rate ${rate} belongs to the exponential schedule, not to "${noise}"; leave it out`,
    );
  return { kind: noise };
}

/** @throws TensorARError when a model can't be trained on these codes */
export function checkFit(base: ModelFolder, baseDir: string, codes: Codes, codesDir: string): void {
  const { vocabSize, tokens, nullCondition, condition } = modelOf(base).backbone; // classes are 0 … nullCondition - 1
  const rows: [string, number, number][] = [
    ["codes in the codebook", vocabSize, codes.vocabSize],
    ["tokens an image", tokens, codes.grid[0] * codes.grid[1]],
    ...("dtype" in condition && nullCondition >= 0
      ? [["classes", nullCondition, codes.classes.length] as [string, number, number]]
      : []),
  ];
  for (const [what, model, data] of rows) {
    if (model !== data)
      throw new TensorARError(
        `${baseDir} was made for ${model} ${what}, ${codesDir} has ${data}; use the codes that it was trained on`,
      );
  }
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const codes = await loadCodes(settings.codes);
    const base = await loadModel(settings.base);
    checkFit(base, settings.base, codes, settings.codes);
    const rates = noiseRates(scheduleOf(settings.noise, settings.noiseRate), settings.windowSize);
    const { tensors, ...description } = base;
    const attached: ModelDescription = {
      ...description,
      tensorar: { windowSize: settings.windowSize, depth: settings.depth, structure: settings.structure },
      noiseRates: [...rates],
      training: recipeOf(settings),
    };
    const model = modelOf(attached);
    refuseOverwrite(settings.out, settings.resume);
    await pinRecipe(settings.out, recipeOf(settings), settings.resume);
    const engine = await chooseEngine(settings.engine, settings.threads);
    const initial = { ...tensors, ...hostParams(model.initModules(settings.seed)) };
    const conditions = await trainingConditions(base, settings.base, codes, settings.captions);
    const task = arTask(settings.windowSize === 1 ? "control" : "TensorAR", model, initial, codes, conditions, {
      ...settings,
      rates,
      selfShare: settings.inputs === "self" ? settings.selfShare : 0,
    });
    const state = await train(task, settings, engine, signal);
    await saveModel(settings.out, { ...attached, tensors: state.ema! }, settings.precision);
    if (takesPrompts(model.backbone)) await copyPromptTokenizer(settings.base, settings.out);
    console.log(`model written to ${settings.out}`);
  },
};
