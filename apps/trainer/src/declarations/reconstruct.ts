import { defineCommand, onlyWith, overwriteSetting, weights, whole } from "@tensorar/cli";
import { z } from "zod";
import { batchSizeSetting, engineSettings, imageSettings, vggSetting } from "./settings";

/** How images are measured, which merging is without. */
const measuringSettings = {
  numImages: whole(1).optional().describe("at most so many images; all when left out"),
  inception: z.string().optional().describe("weights of FID's Inception-v3, for rFID"),
  lpips: z.string().optional().describe("weights of LPIPS (vgg.pth, or safetensors of all of it)"),
  ...onlyWith({ lpips: true }, vggSetting),
  batchSize: batchSizeSetting(32),
  ...imageSettings,
  ...engineSettings,
};

const schema = z.strictObject({
  images: z
    .string()
    .optional()
    .describe("images of the tokenizer's size: a prepared data set, a folder or tar of images, or .npz"),
  tokenizer: weights("tokenizer").optional().describe("tokenizer folder"),
  output: z.string().describe("folder to write reconstructions and metrics to"),
  ...overwriteSetting,
  merge: z.array(z.string()).optional().describe("in place of --images: folders of results of parts, to put together"),
  ...onlyWith({ images: true }, measuringSettings),
});

export type Settings = z.infer<typeof schema>;

export const reconstructCommand = defineCommand({
  name: "reconstruct",
  description: "encode and decode images with a tokenizer, and measure what is lost",
  schema,
  load: async () => (await import("../commands/reconstruct")).command,
});
