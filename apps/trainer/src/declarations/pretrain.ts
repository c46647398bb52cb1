import { backboneSetting, decimal, defineCommand, whole } from "@tensorar/cli";
import { TRAINING_DEFAULTS } from "@tensorar/training/settings";
import { z } from "zod";
import { LARGEST_DEPTH, LARGEST_WIDTH, trainingSettings } from "./settings";

const schema = z.strictObject({
  codes: z.string().describe("folder of codes (written by `tensorar codes`)"),
  ...backboneSetting,
  out: z.string().describe("run folder"),
  width: whole(1, LARGEST_WIDTH).default(256).describe("D"),
  layers: whole(1, LARGEST_DEPTH).default(3).describe("decoder blocks"),
  heads: whole(1, LARGEST_WIDTH).default(4).describe("attention heads"),
  classDropout: decimal(1)
    .default(TRAINING_DEFAULTS.classDropout)
    .describe("share of labels replaced by the null class"),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const pretrainCommand = defineCommand({
  name: "pretrain",
  description: "train a base model (LlamaGen's class-conditional decoder) on codes",
  schema,
  load: async () => (await import("../commands/pretrain")).command,
});
