import {
  backboneSetting,
  defineCommand,
  draftSettings,
  guidanceSettings,
  oneOrMore,
  onlyWith,
  positive,
  weights,
  whole,
} from "@tensorar/cli";
import { type Guidance, PRESETS } from "@tensorar/sampler";
import { z } from "zod";
import { batchSizeSetting, engineSettings, LARGEST_SIDE } from "./settings";

const EACH = "; several, with commas, for the sub-tokens of a token";

const MOST_IMAGES = 10_000_000;

/** Tokens of an image in a step of Jacobi decoding, unless another number is given. */
export const PARALLEL = 8;

const schema = z.strictObject({
  ...backboneSetting,
  model: weights().describe("model folder (base or TensorAR)"),
  tokenizer: weights("tokenizer")
    .optional()
    .describe("tokenizer folder; tokenizer/ in the model's folder or beside it when left out"),
  output: z.string().describe("folder to write images, codes, trace and manifest to"),
  resume: z.boolean().default(false).describe("continue a run in --output that was stopped, with the same settings"),
  overwrite: z.boolean().default(false).describe("replace the samples in --output"),
  preset: z
    .enum(Object.keys(PRESETS) as [string, ...string[]])
    .optional()
    .describe("settings of an original repository, unless they are given"),
  numImages: whole(1, MOST_IMAGES).default(64).describe("images"),
  classes: z.array(z.string()).default([]).describe("class names or indices, used in turn; all classes when left out"),
  prompt: z
    .string()
    .optional()
    .describe('description of the images, for models conditioned on text; "" makes images without a condition'),
  prompts: z.string().optional().describe("text file with one description a line, or GenEval's .jsonl, used in turn"),
  captions: z.string().optional().describe("safetensors file with features of captions, used in turn"),
  guidance: z
    .enum(["constant", "interval", "power-cosine"])
    .default("constant")
    .describe("kind of classifier-free guidance"),
  cfgScale: oneOrMore(z.number().min(1).max(1000))
    .default(1)
    .describe(
      "guidance scale, 1 or more; 1 is none; several, with commas, take turns, or are for the sub-tokens of a token",
    ),
  ...guidanceSettings,
  temperature: oneOrMore(positive(1000)).default(1).describe(`of final tokens${EACH}`),
  topK: oneOrMore(whole(0)).default(0).describe(`keep the K most likely codes; 0 keeps all${EACH}`),
  topP: oneOrMore(positive(1)).default(1).describe(`keep the most likely codes up to this probability${EACH}`),
  drafts: z
    .enum(["raw", "renoise", "argmax", "noise", "blank"])
    .default("raw")
    .describe(
      "how drafts are fed back: as sampled (the paper), noised again with β(j), most likely, replaced by noise, or left blank",
    ),
  ...draftSettings,
  png: z
    .boolean()
    .optional()
    .describe("write images/000000.png, …; up to 10,000 images they are written unless --no-png is given"),
  npz: z.boolean().default(false).describe("also write samples.npz, which evaluation suites of other projects take"),
  leaveOneOut: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      "fraction of the trust in a token's own drafts that is taken back when it becomes final; 0 is the paper. When left out: none, or all where the model's evidence is explicit",
    ),
  draws: z
    .enum(["step", "position"])
    .default("step")
    .describe(
      "random numbers: new ones for every draw, or one Gumbel vector for all drafts of a token and the final one",
    ),
  decoding: z
    .enum(["sequential", "jacobi"])
    .default("sequential")
    .describe(
      "one token of each image a step, or as many as drafts foretell: the same images in fewer, larger steps, faster for few images of a large model",
    ),
  ...onlyWith(
    { decoding: ["jacobi"] },
    { parallel: whole(2, 1024).default(PARALLEL).describe("tokens of an image in a step") },
  ),
  evaluationSize: whole(1, LARGEST_SIDE).optional().describe("pixels to resize the images to, as for scoring"),
  batchSize: batchSizeSetting(64),
  seed: oneOrMore(whole(0))
    .default(0)
    .describe("the one source of all random numbers; several, with commas, take turns"),
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

/** What a preset sets. Unknown names are left to validation. */
function presetSettings({ preset }: Record<string, unknown>): Record<string, unknown> {
  const found = typeof preset === "string" && Object.hasOwn(PRESETS, preset) ? PRESETS[preset] : undefined;
  if (!found) return {};
  const { guidance, temperature, topK, topP, images, evaluationSize } = found;
  const guidances = Array.isArray(guidance) ? (guidance as Guidance[]) : [guidance as Guidance];
  const { kind, scale: _, ...numbers } = guidances[0]!;
  const scales = guidances.map(({ scale }) => scale);
  const cfgScale = Array.isArray(guidance) ? scales : scales[0];
  return { guidance: kind, ...numbers, cfgScale, temperature, topK, topP, numImages: images, evaluationSize };
}

export const sampleCommand = defineCommand({
  name: "sample",
  description: "generate images",
  schema,
  defaults: presetSettings,
  load: async () => (await import("../commands/sample")).command,
});
