import { backboneSetting, defineCommand, overwriteSetting, positive, seedSetting, weights } from "@tensorar/cli";
import { z } from "zod";
import { batchSetting, providerSetting } from "./settings";

const schema = z.strictObject({
  dir: z.string().describe("exported folder"),
  seed: seedSetting.seed.unwrap().optional().describe("seed of the inputs; another one at every call when left out"),
  ...batchSetting(1, 3),
  ...providerSetting,
  maxKl: positive(1000)
    .default(1)
    .describe("mean KL divergence from full precision, in nats, that weights in fewer bits may cost"),
  model: weights().optional().describe("model folder; where the export was made from when left out"),
  tokenizer: weights("tokenizer").optional().describe("tokenizer folder; where the export was made from when left out"),
  ...backboneSetting,
  json: z.string().optional().describe("file to write the comparisons to as well"),
  ...overwriteSetting,
});

export type Settings = z.infer<typeof schema>;

export const verifyCommand = defineCommand({
  name: "verify",
  description: "compare the exported graphs with the eager model on fresh random inputs",
  schema,
  argument: "dir",
  load: async () => (await import("../commands/verify")).command,
});
