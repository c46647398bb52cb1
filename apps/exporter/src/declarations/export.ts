import { defineCommand, oneOrMore, overwriteSetting, positive, whole } from "@tensorar/cli";
import { TARGETS } from "@tensorar/manifest";
import { z } from "zod";
import { sourceSettings } from "./settings";

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
  topK: oneOrMore(whole(0)).default(0).describe("with --end-to-end: keep the K most likely codes; 0 keeps all"),
  topP: oneOrMore(positive(1))
    .default(1)
    .describe("with --end-to-end: keep the most likely codes up to this probability"),
  guidance: z
    .enum(["constant", "interval", "power-cosine"])
    .default("constant")
    .describe("with --end-to-end: how guidance changes from step to step"),
  interval: whole(0).optional().describe("with --guidance interval: last decode step that is guided"),
  power: positive(1000).optional().describe("with --guidance power-cosine: its power"),
  drafts: z
    .enum(["raw", "renoise", "argmax", "noise", "blank"])
    .default("raw")
    .describe("with --end-to-end: how drafts are fed back, as `tensorar sample` does it"),
  draftTemperature: oneOrMore(positive(1000))
    .optional()
    .describe("with --drafts raw or renoise: temperature of the drafts; several, with commas, for depths 1 … k-1"),
  draftRates: z
    .array(z.number().min(0).max(1))
    .min(1)
    .optional()
    .describe("with --drafts renoise: noise rates of depths 1 … k-1, with commas; those of the training when left out"),
  leaveOneOut: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      "with --end-to-end: fraction of the trust in a token's own drafts that is taken back, as `tensorar sample` does it",
    ),
  draws: z
    .enum(["step", "position"])
    .default("step")
    .describe("with --end-to-end: which random numbers codes are drawn with, as `tensorar sample` does it"),
});

export type Settings = z.infer<typeof schema>;

export const exportCommand = defineCommand({
  name: "export",
  description: "write decoder.onnx, image-decoder.onnx and config.json",
  schema,
  load: async () => (await import("../commands/export")).command,
});
