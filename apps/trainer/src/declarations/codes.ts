import { defineCommand, overwriteSetting, weights } from "@tensorar/cli";
import { z } from "zod";
import { batchSizeSetting, engineSettings } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set"),
  tokenizer: weights("tokenizer").describe("tokenizer folder"),
  output: z.string().describe("folder to write the codes to"),
  augment: z
    .array(z.enum(["flip", "shift", "crop"]))
    .optional()
    .describe(
      "variants of the images to train on, of which each epoch draws one: flip, shift (by half of a code), crop (corners and center of the image enlarged); flip,crop has LlamaGen's ten crops. When left out: none",
    ),
  cropRange: z.number().gt(1).max(2).optional().describe("with --augment crop: factor of the enlargement; 1.1"),
  resume: z
    .boolean()
    .default(false)
    .describe("with --augment: continue in --output what was stopped, with the same settings"),
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
