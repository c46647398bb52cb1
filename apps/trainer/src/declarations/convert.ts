import { defineCommand, onlyWith, overwriteSetting, weights, whole } from "@tensorar/cli";
import { z } from "zod";
import { FAMILY_NAMES, TEXT_ENCODER_NAMES } from "../conversion/family-names";
import { LARGEST_SIDE, LARGEST_WIDTH } from "./settings";

/** Tokens of a caption. Source: `--t5-feature-max-len` of LlamaGen's `autoregressive/sample/sample_t2i.py`. */
const LLAMAGEN_TOKENS = 120;

const schema = z.strictObject({
  from: z.enum([...FAMILY_NAMES, ...TEXT_ENCODER_NAMES]).describe("original repository, or t5 for a text encoder"),
  checkpoint: z
    .string()
    .optional()
    .describe("the model's weights: .pt, .pth, .bin, .safetensors, an index, a folder, hf://OWNER/NAME[/FILE]"),
  ...onlyWith(
    { checkpoint: true },
    {
      model: z
        .string()
        .optional()
        .describe("which of its models that is, such as GPT-B; or a JSON file with its configuration"),
    },
  ),
  tokenizer: z.string().optional().describe("the tokenizer's weights"),
  ...onlyWith(
    { tokenizer: true },
    {
      tokenizerModel: z
        .string()
        .optional()
        .describe("which of its tokenizers that is, or a JSON file; the usual one when left out"),
    },
  ),
  weights: z
    .string()
    .min(1)
    .optional()
    .describe(
      "where a checkpoint holds several: ema (their moving average), model, or a key; as the original when left out",
    ),
  root: z.string().optional().describe("keys that lead to the weights, joined by dots; searched for when left out"),
  stripPrefix: z.string().min(1).optional().describe("what the names of the weights begin with, such as gpt."),
  imageSize: whole(1, LARGEST_SIDE)
    .optional()
    .describe("pixels; when left out, what the checkpoint's file name says, such as _256 or img256"),
  precision: z
    .enum(["float32", "float16", "bfloat16"])
    .optional()
    .describe("number format of the new files; as it was when left out"),
  ...onlyWith(
    { checkpoint: true },
    {
      textEncoder: weights("text-encoder")
        .optional()
        .describe("for models of captions: folder of the text encoder that they were trained with, which prompts need"),
    },
  ),
  ...onlyWith(
    { from: TEXT_ENCODER_NAMES },
    {
      textLength: whole(1, LARGEST_WIDTH).default(LLAMAGEN_TOKENS).describe("tokens of a text, LlamaGen's by default"),
      cleanCaptions: z.boolean().default(true).describe("clean texts as LlamaGen does"),
    },
  ),
  ...overwriteSetting,
  output: z.string().describe("folder to write: the model, and the tokenizer in tokenizer/"),
});

export type Settings = z.infer<typeof schema>;

export const convertCommand = defineCommand({
  name: "convert",
  description: "turn checkpoints of original repositories into folders that all commands take",
  schema,
  argument: "checkpoint",
  load: async () => (await import("../commands/convert")).command,
});
