import { backboneSetting, decimal, defineCommand, onlyWith, whole } from "@tensorar/cli";
import { TRAINING_DEFAULTS } from "@tensorar/training/settings";
import { z } from "zod";
import { codesTrainingSettings, LARGEST_DEPTH, LARGEST_WIDTH, tensorarSettings, trainingSettings } from "./settings";

/** Of LlamaGen's decoder. */
const sizeSettings = {
  width: whole(1, LARGEST_WIDTH).default(256).describe("D"),
  layers: whole(1, LARGEST_DEPTH).default(3).describe("decoder blocks"),
  heads: whole(1, LARGEST_WIDTH).default(4).describe("attention heads"),
};

/** Of models of captions. Without defaults: recipes of models of classes never held them. */
const captionSettings = {
  encoderWidth: whole(1, LARGEST_WIDTH).optional().describe("width of the text encoder; 128"),
  encoderLayers: whole(1, LARGEST_DEPTH).optional().describe("its blocks; 2"),
  encoderHeads: whole(1, LARGEST_WIDTH).optional().describe("its attention heads; 4"),
  vocabulary: whole(1, 2 ** 20)
    .optional()
    .describe("words and word pieces, made from the captions, at most; 3072"),
  captionTokens: whole(3, 2 ** 14)
    .optional()
    .describe("tokens of a caption, of which longer ones lose their end; 32"),
};

const schema = z.strictObject({
  codes: z.string().describe("folder of codes (written by `tensorar codes`)"),
  ...backboneSetting,
  output: z.string().describe("run folder"),
  ...onlyWith({ backbone: false }, sizeSettings),
  condition: z
    .enum(["class", "captions"])
    .default("class")
    .describe(
      "images are conditioned on their class, or on captions, read by a text encoder that is trained with the model",
    ),
  ...onlyWith({ condition: ["captions"] }, captionSettings),
  classDropout: decimal(1)
    .default(TRAINING_DEFAULTS.classDropout)
    .describe("share of conditions, labels or captions, replaced by none, which guidance needs"),
  windowSize: whole(1, LARGEST_WIDTH)
    .default(1)
    .describe("k, tokens in one tensor: above 1, TensorAR is attached from the first step on"),
  ...tensorarSettings,
  ...codesTrainingSettings,
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const pretrainCommand = defineCommand({
  name: "pretrain",
  description: "train a model (LlamaGen's decoder, of classes or of captions) on codes: a base model, or TensorAR",
  schema,
  load: async () => (await import("../commands/pretrain")).command,
});
