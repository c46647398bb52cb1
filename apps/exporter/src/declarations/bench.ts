import { defineCommand, overwriteSetting, threadsSetting, whole } from "@tensorar/cli";
import { z } from "zod";
import { batchSetting, providerSetting } from "./settings";

const schema = z.strictObject({
  dir: z.string().describe("exported folder"),
  ...threadsSetting,
  ...batchSetting(1, 16),
  runs: whole(1).default(20).describe("timed runs of each"),
  ...providerSetting,
  json: z.string().optional().describe("file to write the timings to as well"),
  ...overwriteSetting,
});

export type Settings = z.infer<typeof schema>;

export const benchCommand = defineCommand({
  name: "bench",
  description: "time the exported graphs",
  schema,
  argument: "dir",
  load: async () => (await import("../commands/bench")).command,
});
