import {
  backboneSetting,
  defineCommand,
  LARGEST_BATCH,
  onlyWith,
  overwriteSetting,
  seedSetting,
  weights,
  whole,
} from "@tensorar/cli";
import { z } from "zod";
import { engineSettings, imageSettings } from "./settings";

const inceptionSettings = {
  neighbours: whole(1)
    .default(10_000)
    .describe("images of each set whose neighbours are compared, for precision, recall and KID"),
  batchSize: whole(1, LARGEST_BATCH).default(32).describe("images at a time"),
  saveStatistics: z.string().optional().describe(".npz to write the samples' statistics to"),
  ...onlyWith(
    { saveStatistics: true },
    {
      firstImage: whole(0)
        .default(0)
        .describe("where the samples are a part, the number of images in the parts before it"),
    },
  ),
};

/** Scores of predictions on held-out images. */
const heldOutSettings = {
  ...backboneSetting,
  codes: z.string().optional().describe("the folder of codes"),
  captions: z.string().optional().describe("features of their captions, as in `finetune`"),
  images: whole(1).default(512).describe("held-out images that are scored"),
};

const splitSettings = {
  split: z
    .enum(["validation", "test", "combinations"])
    .default("validation")
    .describe("which of the held-out images, where the data set names some for the test, or held-out combinations"),
};

const schema = z.strictObject({
  samples: z
    .string()
    .describe(
      "images to score: samples, a folder or tar of images, or .npz; or .npz with statistics, several with commas",
    ),
  reference: z.string().describe("images to compare with: a prepared data set or as above, or .npz with statistics"),
  referenceSplit: z
    .enum(["train", "validation", "test", "combinations"])
    .optional()
    .describe(
      "of a prepared data set, those images alone, for --tokenizer and --inception; the test images tell a model that repeats its training images",
    ),
  inception: z
    .string()
    .optional()
    .describe(
      "weights of FID's Inception-v3 (pt_inception-2015-12-05-6726825d.pth or safetensors), for FID and the like",
    ),
  tokenizer: weights("tokenizer")
    .optional()
    .describe("tokenizer folder whose encoder makes features; not FID, but needs no weights"),
  classifier: weights("classifier")
    .optional()
    .describe(
      "classifier (written by `tensorar classifier`), to see whether samples show their class or prompt; --reference is its data set",
    ),
  ...onlyWith({ inception: true }, inceptionSettings),
  ...onlyWith(
    { codes: true },
    { model: weights().optional().describe("the model, to score its predictions on held-out images") },
  ),
  ...onlyWith({ model: true }, heldOutSettings),
  ...onlyWith({ model: true, classifier: true }, splitSettings),
  output: z.string().optional().describe("JSON file for the results"),
  report: z.string().optional().describe("HTML file for the results, with pictures"),
  ...onlyWith({ output: true, report: true, saveStatistics: true }, overwriteSetting),
  ...imageSettings,
  ...seedSetting,
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

export const evaluateCommand = defineCommand({
  name: "evaluate",
  description: "compare samples with real images, and score a model's predictions by refinement depth",
  schema,
  load: async () => (await import("../commands/evaluate")).command,
});
