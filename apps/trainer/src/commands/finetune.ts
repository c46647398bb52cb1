import type { CommandBody } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { writeChecksums } from "@tensorar/core/node";
import { loadCodes } from "@tensorar/data";
import { loadModel, type ModelDescription, modelOf, saveModel } from "@tensorar/model/node";
import { type NoiseSchedule, noiseRates } from "@tensorar/noise";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { fitCodes } from "../conditions/fit-codes";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { trainingConditions } from "../conditions/training-conditions";
import type { Settings } from "../declarations/finetune";
import { chooseEngine } from "../engine/choose-engine";
import { hostParams } from "../folders/host-params";
import { arTask } from "../training/ar-task";
import { recipeOf } from "../training/recipe";
import { inRunFolder } from "../training/run-folder";
import { train } from "../training/train";

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
    const base = await loadModel(settings.base);
    const { codes, note } = fitCodes(base, settings.base, await loadCodes(settings.codes), settings.codes);
    const rates = noiseRates(scheduleOf(settings.noise, settings.noiseRate), settings.windowSize);
    const { tensors, ...description } = base;
    const attached: ModelDescription = {
      ...description,
      tensorar: { windowSize: settings.windowSize, depth: settings.depth, structure: settings.structure },
      noiseRates: [...rates],
      training: recipeOf(settings),
    };
    const model = modelOf(attached);
    if (note !== undefined) console.log(note);
    const conditions = await trainingConditions(base, settings.base, codes, settings.captions);
    await inRunFolder(settings, recipeOf(settings), async () => {
      const engine = await chooseEngine(settings.engine, settings.threads);
      const initial = { ...tensors, ...hostParams(model.initModules(settings.seed)) };
      const task = arTask(settings.windowSize === 1 ? "control" : "TensorAR", model, initial, codes, conditions, {
        ...settings,
        rates,
        selfShare: settings.inputs === "self" ? settings.selfShare : 0,
      });
      const state = await train(task, settings, engine, signal);
      await saveModel(settings.out, { ...attached, tensors: state.ema! }, settings.precision);
      if (takesPrompts(model.backbone)) {
        await copyPromptTokenizer(settings.base, settings.out);
        await writeChecksums(settings.out, ["config.json", "model.safetensors", ...TOKENIZER_FILES]);
      }
    });
    console.log(`model written to ${settings.out}`);
  },
};
