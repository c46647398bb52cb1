import { TensorARError } from "@tensorar/core";
import { loadModel, type ModelDescription, type ModelFolder, modelOf, saveModel } from "@tensorar/model/node";
import { type NoiseSchedule, noiseRates } from "@tensorar/noise";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { copyPromptTokenizer, takesPrompts } from "../conditions/prompts";
import { trainingConditions } from "../conditions/training-conditions";
import { chooseEngine } from "../engine/choose-engine";
import { type Codes, loadCodes } from "../folders/codes-folder";
import { hostParams } from "../folders/host-params";
import { arTask } from "../training/ar-task";
import { pinRecipe } from "../training/recipe";
import { train } from "../training/train";
import { recipeOf, refuseOverwrite, trainingSettings } from "./settings";

const schema = z.strictObject({
  base: z.string().describe("folder of the base model"),
  codes: z.string().describe("folder of codes"),
  out: z.string().describe("run folder"),
  windowSize: z
    .int()
    .positive()
    .default(4)
    .describe("k, tokens in one tensor; 1 goes on training the base model, which is the control"),
  depth: z.int().positive().default(1).describe("depth of both query transformers"),
  structure: z.enum(["maps", "gated"]).default("gated").describe("how the output decoder tells its k states apart"),
  noise: z
    .enum(["linear", "sine", "sqrt", "exponential", "none"])
    .default("exponential")
    .describe("schedule of the noise rates β(j)"),
  noiseRate: z.number().positive().optional().describe("rate of the exponential schedule"),
  inputs: z
    .enum(["noise", "self"])
    .default("noise")
    .describe("training windows: noised truth (the paper), or mixed with the model's own drafts"),
  selfShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("with --inputs self: share of entries taken from own drafts"),
  classDropout: z.number().min(0).max(1).default(0.1).describe("share of conditions replaced by none"),
  captions: z
    .string()
    .optional()
    .describe("for models conditioned on captions: safetensors file with their features, one for every image"),
  ...trainingSettings,
});

function scheduleOf(noise: z.infer<typeof schema>["noise"], rate: number | undefined): NoiseSchedule {
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

export const finetuneCommand: CommandDefinition<typeof schema.shape> = {
  name: "finetune",
  description: "attach TensorAR to a base model and train both",
  schema,
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
