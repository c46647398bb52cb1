import { backboneSetting, decimal, defineCommand, positive, weights, whole } from "@tensorar/cli";
import { TRAINING_DEFAULTS } from "@tensorar/training/settings";
import { z } from "zod";
import { LARGEST_DEPTH, LARGEST_WIDTH, trainingSettings, validationSetting } from "./settings";

const schema = z.strictObject({
  ...backboneSetting,
  base: weights("base").describe("folder of the base model"),
  codes: z.string().describe("folder of codes"),
  output: z.string().describe("run folder"),
  windowSize: whole(1, LARGEST_WIDTH)
    .default(4)
    .describe("k, tokens in one tensor; 1 goes on training the base model, which is the control"),
  depth: whole(1, LARGEST_DEPTH).default(1).describe("depth of both query transformers"),
  structure: z.enum(["maps", "gated"]).default("gated").describe("how the output decoder tells its k states apart"),
  noise: z
    .enum(["linear", "sine", "sqrt", "exponential", "none"])
    .default("exponential")
    .describe("schedule of the noise rates β(j)"),
  noiseRate: positive(1000).optional().describe("rate of the exponential schedule"),
  inputs: z
    .enum(["noise", "self"])
    .default("noise")
    .describe("training windows: noised truth (the paper), or mixed with the model's own drafts"),
  selfShare: decimal(1).default(0.5).describe("with --inputs self: fraction of entries taken from own drafts"),
  classDropout: decimal(1).default(TRAINING_DEFAULTS.classDropout).describe("fraction of conditions replaced by none"),
  captions: z
    .string()
    .optional()
    .describe(
      "for models conditioned on captions: their features, a folder of `tensorar captions`, or a safetensors file with one for every image",
    ),
  ...validationSetting,
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const finetuneCommand = defineCommand({
  name: "finetune",
  description: "attach TensorAR to a base model and train both",
  schema,
  load: async () => (await import("../commands/finetune")).command,
});
