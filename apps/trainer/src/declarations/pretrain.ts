import { z } from "zod";
import type { CommandDefinition } from "../command";
import { trainingSettings } from "./settings";

const schema = z.strictObject({
  codes: z.string().describe("folder of codes (written by `tensorar codes`)"),
  out: z.string().describe("run folder"),
  width: z.int().positive().default(256).describe("D"),
  layers: z.int().positive().default(3).describe("decoder blocks"),
  heads: z.int().positive().default(4).describe("attention heads"),
  classDropout: z.number().min(0).max(1).default(0.1).describe("share of labels replaced by the null class"),
  ...trainingSettings,
});

export type Settings = z.infer<typeof schema>;

export const pretrainCommand: CommandDefinition<typeof schema.shape> = {
  name: "pretrain",
  description: "train a base model (LlamaGen's class-conditional decoder) on codes",
  schema,
  load: async () => (await import("../commands/pretrain")).command,
};
