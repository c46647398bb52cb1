import { defineCommand, overwriteSetting, weights } from "@tensorar/cli";
import { z } from "zod";
import { batchSizeSetting, engineSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set"),
  tokenizer: weights("tokenizer").describe("tokenizer folder"),
  output: z.string().describe("folder to write the codes to"),
  ...overwriteSetting,
  batchSize: batchSizeSetting(64),
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

export const codesCommand = defineCommand({
  name: "codes",
  description: "encode a data set with a tokenizer",
  schema,
  load: async () => (await import("../commands/codes")).command,
});
