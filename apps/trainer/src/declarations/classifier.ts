import { defineCommand, whole } from "@tensorar/cli";
import { z } from "zod";
import { LARGEST_SIDE, LARGEST_WIDTH, trainingSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set (written by `tensorar data`)"),
  output: z.string().describe("run folder"),
  widths: z
    .array(whole(1, 4096))
    .default([16, 32, 64, 128])
    .describe("channels at each resolution; every further one halves the image"),
  hidden: whole(1, LARGEST_WIDTH).default(256).describe("hidden units before the heads"),
  dropout: z.number().min(0).lt(1).default(0.3).describe("fraction of hidden units left out of a step"),
  shift: whole(0, LARGEST_SIDE).default(2).describe("pixels by which images are moved at most"),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const classifierCommand = defineCommand({
  name: "classifier",
  description:
    "train a classifier of real images, with which `evaluate` sees whether samples show their class or prompt",
  schema,
  load: async () => (await import("../commands/classifier")).command,
});
