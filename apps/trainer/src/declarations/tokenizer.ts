import { decimal, defineCommand, whole } from "@tensorar/cli";
import { z } from "zod";
import { LARGEST_DEPTH, LARGEST_WIDTH, trainingSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set (written by `tensorar data`)"),
  output: z.string().describe("run folder"),
  channels: whole(32, LARGEST_WIDTH).multipleOf(32).default(32).describe("width at full resolution"),
  channelMultipliers: z
    .array(whole(1, 2 ** 10))
    .default([1, 2, 4])
    .describe("width factor of each resolution; every further one halves the image"),
  resBlocks: whole(1, LARGEST_DEPTH).default(1).describe("residual blocks at each resolution"),
  latentChannels: whole(1, LARGEST_WIDTH).default(64).describe("width of the encoder's output"),
  codebookSize: whole(1, 2 ** 24)
    .default(512)
    .describe("V"),
  codeWidth: whole(1, LARGEST_WIDTH).default(8).describe("dimensions of a code"),
  entropyRatio: decimal(1000).default(0.1).describe("weight of the entropy loss, which keeps codes in use"),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const tokenizerCommand = defineCommand({
  name: "tokenizer",
  description: "train an image tokenizer (LlamaGen's VQ autoencoder)",
  schema,
  load: async () => (await import("../commands/tokenizer")).command,
});
