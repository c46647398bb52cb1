import { backboneSetting, decimal, defineCommand, onlyWith, weights, whole } from "@tensorar/cli";
import { TRAINING_DEFAULTS } from "@tensorar/training/settings";
import { z } from "zod";
import { codesTrainingSettings, LARGEST_WIDTH, tensorarSettings, trainingSettings } from "./settings";

/** How a base model takes part, and what windows hold: of TensorAR alone. */
const phaseSettings = {
  ...onlyWith(
    { freezeBase: false },
    {
      draftSteps: whole(0)
        .optional()
        .describe(
          "steps of a first phase that trains the output decoder alone. When left out: none, or with explicit evidence 150, a quarter of all steps at most",
        ),
      bodyRate: decimal(1)
        .optional()
        .describe("factor of the base model's learning rate; 1 when left out, or 0.1 with explicit evidence"),
    },
  ),
  freezeBase: z
    .boolean()
    .default(false)
    .describe("leaves the base model as it is, to the bit, and trains drafts for it; with explicit evidence"),
  inputs: z
    .enum(["noise", "self"])
    .default("noise")
    .describe("training windows: noised truth (the paper), or mixed with the model's own drafts"),
  ...onlyWith(
    { inputs: ["self"] },
    { selfFraction: decimal(1).default(0.5).describe("fraction of entries taken from own drafts") },
  ),
};

const schema = z.strictObject({
  ...backboneSetting,
  base: weights("base").describe("folder of the base model"),
  codes: z.string().describe("folder of codes"),
  output: z.string().describe("run folder"),
  windowSize: whole(1, LARGEST_WIDTH)
    .default(4)
    .describe("k, tokens in one tensor; 1 goes on training the base model, which is the control"),
  ...tensorarSettings,
  ...onlyWith({ windowSize: { least: 2 } }, phaseSettings),
  classDropout: decimal(1).default(TRAINING_DEFAULTS.classDropout).describe("fraction of conditions replaced by none"),
  captions: z
    .string()
    .optional()
    .describe(
      "for models conditioned on captions: their features, a folder of `tensorar captions`, or a safetensors file with one for every image",
    ),
  ...codesTrainingSettings,
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const finetuneCommand = defineCommand({
  name: "finetune",
  description: "attach TensorAR to a base model and train both",
  schema,
  load: async () => (await import("../commands/finetune")).command,
});
