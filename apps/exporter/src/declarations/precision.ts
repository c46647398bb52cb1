import { defineCommand, overwriteSetting, seedSetting, whole } from "@tensorar/cli";
import { z } from "zod";
import { sourceSettings } from "./settings";

const ROUNDED = ["float16", "int8", "int4"] as const;

const schema = z.strictObject({
  ...sourceSettings,
  weights: z
    .array(z.enum(ROUNDED))
    .default([...ROUNDED])
    .describe("number formats of the decoder's matrices"),
  images: whole(1).default(8).describe("images to draw, each for another condition"),
  conditions: z.string().optional().describe("for models of text: prompts as JSON, or captions as safetensors"),
  ...seedSetting,
  json: z.string().optional().describe("file to write the figures to as well"),
  ...overwriteSetting,
});

export type Settings = z.infer<typeof schema>;

export const precisionCommand = defineCommand({
  name: "precision",
  description: "compare number formats with float32 along images that the model draws",
  schema,
  load: async () => (await import("../commands/precision")).command,
});
