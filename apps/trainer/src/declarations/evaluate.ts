import {
  backboneSetting,
  defineCommand,
  LARGEST_BATCH,
  overwriteSetting,
  seedSetting,
  weights,
  whole,
} from "@tensorar/cli";
import { z } from "zod";
import { engineSettings, imageSettings } from "./settings";

const schema = z.strictObject({
  samples: z
    .string()
    .describe(
      "images to score: samples, a folder or tar of images, or .npz; or .npz with statistics, several with commas",
    ),
  reference: z.string().describe("images to compare with: a prepared data set or as above, or .npz with statistics"),
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
  neighbours: whole(1)
    .default(10_000)
    .describe("with --inception: images of each set whose neighbours are compared, for precision, recall and KID"),
  batchSize: whole(1, LARGEST_BATCH).default(32).describe("with --inception: images at a time"),
  saveStatistics: z.string().optional().describe("with --inception: .npz to write the samples' statistics to"),
  firstImage: whole(0)
    .default(0)
    .describe("with --save-statistics: where the samples are a part, the number of images in the parts before it"),
  model: weights().optional().describe("with --codes: the model, to score its predictions on held-out images"),
  ...backboneSetting,
  codes: z.string().optional().describe("with --model: the folder of codes"),
  captions: z.string().optional().describe("with --codes: features of their captions, as in `finetune`"),
  images: whole(1).default(512).describe("held-out images scored with --model and --codes"),
  split: z
    .enum(["validation", "test", "combinations"])
    .default("validation")
    .describe(
      "with --codes: which of the held-out images, where the data set names some for the test, or held-out combinations",
    ),
  output: z.string().optional().describe("JSON file for the results"),
  report: z.string().optional().describe("HTML file for the results, with pictures"),
  ...overwriteSetting,
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
