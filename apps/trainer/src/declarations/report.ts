import { defineCommand, overwriteSetting, weights } from "@tensorar/cli";
import { z } from "zod";
import { engineSettings } from "./settings";

const schema = z.strictObject({
  run: z.string().describe("folder with data/, samples/, evaluations/ and the rest, laid out as `npm run demo` does"),
  tokenizer: weights("tokenizer").describe("tokenizer folder, to draw refinement by depth"),
  output: z.string().optional().describe("page to write; RUN/report.html when left out"),
  ...overwriteSetting,
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

export const reportCommand = defineCommand({
  name: "report",
  description: "write one HTML page about a run: pictures, curves, metrics, verdict",
  schema,
  load: async () => (await import("../commands/report")).command,
});
