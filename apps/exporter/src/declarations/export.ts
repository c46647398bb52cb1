import {
  defineCommand,
  draftSettings,
  guidanceSettings,
  oneOrMore,
  onlyWith,
  overwriteSetting,
  positive,
  whole,
} from "@tensorar/cli";
import { TARGETS } from "@tensorar/manifest";
import { z } from "zod";
import { sourceSettings } from "./settings";

/** Of the graph that generates, which is compiled with them. */
const samplingSettings = {
  topK: oneOrMore(whole(0)).default(0).describe("keep the K most likely codes; 0 keeps all"),
  topP: oneOrMore(positive(1)).default(1).describe("keep the most likely codes up to this probability"),
  guidance: z
    .enum(["constant", "interval", "power-cosine"])
    .default("constant")
    .describe("how guidance changes from step to step"),
  ...guidanceSettings,
  drafts: z
    .enum(["raw", "renoise", "argmax", "noise", "blank"])
    .default("raw")
    .describe("how drafts are fed back, as `tensorar sample` does it"),
  ...draftSettings,
  leaveOneOut: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("fraction of the trust in a token's own drafts that is taken back, as `tensorar sample` does it"),
  draws: z
    .enum(["step", "position"])
    .default("step")
    .describe("which random numbers codes are drawn with, as `tensorar sample` does it"),
};

const schema = z.strictObject({
  ...sourceSettings,
  output: z.string().describe("folder to create"),
  ...overwriteSetting,
  weights: z
    .enum(["float32", "float16", "int8", "int4"])
    .default("float32")
    .describe("number format of the decoder's matrices"),
  target: z.enum(TARGETS).optional().describe("write for this runtime; for any when left out"),
  triton: z
    .string()
    .optional()
    .describe("folder to write a model repository for NVIDIA Triton Inference Server to as well"),
  endToEnd: z
    .boolean()
    .default(false)
    .describe("also write generation.onnx: the loop, sampling and the image decoder in one graph"),
  ...onlyWith({ endToEnd: true }, samplingSettings),
});

export type Settings = z.infer<typeof schema>;

export const exportCommand = defineCommand({
  name: "export",
  description: "write decoder.onnx, image-decoder.onnx and config.json",
  schema,
  load: async () => (await import("../commands/export")).command,
});
