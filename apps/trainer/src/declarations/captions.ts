import { defineCommand, overwriteSetting, weights } from "@tensorar/cli";
import { z } from "zod";
import { engineSettings } from "./settings";

const schema = z.strictObject({
  encoder: weights("text-encoder").describe("folder of the text encoder (written by `tensorar convert --from t5`)"),
  data: z.string().describe("prepared data set"),
  output: z.string().describe("folder to write the features to"),
  dtype: z
    .enum(["float32", "float16"])
    .default("float32")
    .describe("number format of the features; float16 halves the files"),
  resume: z.boolean().default(false).describe("continue in --output what was stopped, with the same settings"),
  ...overwriteSetting,
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

export const captionsCommand = defineCommand({
  name: "captions",
  description: "encode the captions of a data set with a text encoder",
  schema,
  load: async () => (await import("../commands/captions")).command,
});
