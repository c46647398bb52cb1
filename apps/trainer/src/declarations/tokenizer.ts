import { z } from "zod";
import type { CommandDefinition } from "../command";
import { trainingSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set (written by `tensorar data`)"),
  out: z.string().describe("run folder"),
  channels: z.int().positive().multipleOf(32).default(32).describe("width at full resolution"),
  channelMultipliers: z
    .array(z.coerce.number().int().positive())
    .default([1, 2, 4])
    .describe("width factor of each resolution; every further one halves the image"),
  resBlocks: z.int().positive().default(1).describe("residual blocks at each resolution"),
  latentChannels: z.int().positive().default(64).describe("width of the encoder's output"),
  codebookSize: z.int().positive().default(512).describe("V"),
  codeWidth: z.int().positive().default(8).describe("dimensions of a code"),
  entropyRatio: z.number().nonnegative().default(0.1).describe("weight of the entropy loss, which keeps codes in use"),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const tokenizerCommand: CommandDefinition<typeof schema.shape> = {
  name: "tokenizer",
  description: "train an image tokenizer (LlamaGen's VQ autoencoder)",
  schema,
  load: async () => (await import("../commands/tokenizer")).command,
};
