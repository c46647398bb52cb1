import { defineCommand, onlyWith, overwriteSetting, threadsSetting } from "@tensorar/cli";
import { z } from "zod";
import { imageSettings } from "./settings";

/** How images are scored, which merging is without. */
const scoringSettings = {
  prompts: z
    .string()
    .optional()
    .describe("GenEval's evaluation_metadata.jsonl; with metadata.jsonl beside the images it may be left out"),
  detector: z.string().optional().describe("JSON file that describes a detector in an ONNX file"),
  colors: z.string().optional().describe("JSON file that describes a network like CLIP, for prompts with colours"),
  resume: z.boolean().default(false).describe("score only images that --output holds no result of"),
  ...imageSettings,
  ...threadsSetting,
};

const schema = z.strictObject({
  images: z
    .string()
    .optional()
    .describe("folder of images, DIR/00000/samples/0000.png as GenEval has them, or samples"),
  output: z.string().describe("folder to write results and a page with pictures to"),
  ...overwriteSetting,
  merge: z.array(z.string()).optional().describe("in place of --images: folders of results of parts, to put together"),
  ...onlyWith({ images: true }, scoringSettings),
});

export type Settings = z.infer<typeof schema>;

export const genevalCommand = defineCommand({
  name: "geneval",
  description: "score images by GenEval: whether they show the objects that their prompts name",
  schema,
  load: async () => (await import("../commands/geneval")).command,
});
