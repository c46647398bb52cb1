import { z } from "zod";
import type { CommandDefinition } from "../command";
import { engineSettings, weights } from "./settings";

const schema = z.strictObject({
  data: z.string().describe("prepared data set"),
  tokenizer: weights().describe("tokenizer folder"),
  out: z.string().describe("folder to write the codes to"),
  batchSize: z.int().positive().default(64).describe("images at a time"),
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

export const codesCommand: CommandDefinition<typeof schema.shape> = {
  name: "codes",
  description: "encode a data set with a tokenizer",
  schema,
  load: async () => (await import("../commands/codes")).command,
};
