import { type Guidance, PRESETS } from "@tensorar/sampler";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { engineSettings, seedSetting, weights } from "./settings";

/** One number, or one for each sub-token of models whose tokens consist of several. */
const perFactor = <T extends z.ZodType<number>>(number: T) => z.union([number, z.array(number).min(1)]);
const EACH = "; several, with commas, for the sub-tokens of a token";

const MOST_IMAGES = 10_000_000;
const LARGEST_IMAGE = 8192;

const schema = z.strictObject({
  model: weights().describe("model folder (base or TensorAR)"),
  tokenizer: weights().describe("tokenizer folder"),
  out: z.string().describe("folder to write images, codes, trace and manifest to"),
  resume: z.boolean().default(false).describe("continue a run in --out that was stopped, with the same settings"),
  overwrite: z.boolean().default(false).describe("replace the samples in --out"),
  preset: z
    .enum(Object.keys(PRESETS) as [string, ...string[]])
    .optional()
    .describe("settings of an original repository, unless they are given"),
  count: z.int().positive().max(MOST_IMAGES).default(64).describe("images"),
  classes: z.array(z.string()).default([]).describe("class names or indices, used in turn; all classes when left out"),
  prompt: z.string().optional().describe("description of the images, for models conditioned on text"),
  prompts: z.string().optional().describe("text file with one description a line, used in turn"),
  captions: z.string().optional().describe("safetensors file with features of captions, used in turn"),
  guidance: z
    .enum(["constant", "interval", "power-cosine"])
    .default("constant")
    .describe("kind of classifier-free guidance"),
  scale: perFactor(z.number().min(1, "guidance begins at 1, which is none"))
    .default(1)
    .describe(`guidance scale, 1 or more; 1 is none${EACH}`),
  interval: z.int().optional().describe("with --guidance interval: last decode step that is guided"),
  power: z.number().optional().describe("with --guidance power-cosine: its power"),
  temperature: perFactor(z.number().positive()).default(1).describe(`of final tokens${EACH}`),
  topK: perFactor(z.int().nonnegative()).default(0).describe(`keep the K most likely codes; 0 keeps all${EACH}`),
  topP: perFactor(z.number().gt(0).max(1))
    .default(1)
    .describe(`keep the most likely codes up to this probability${EACH}`),
  drafts: z
    .enum(["raw", "renoise", "argmax", "noise"])
    .default("raw")
    .describe(
      "how drafts are fed back: as sampled (the paper), noised again with β(j), most likely, or replaced by noise",
    ),
  draftTemperature: z
    .number()
    .positive()
    .optional()
    .describe("with --drafts raw or renoise: temperature of the drafts"),
  png: z
    .boolean()
    .optional()
    .describe("write images/000000.png, …; up to 10,000 images they are written unless --no-png is given"),
  npz: z.boolean().default(false).describe("also write samples.npz, which evaluation suites of other projects take"),
  lookahead: z
    .int()
    .min(2)
    .optional()
    .describe(
      "make up to so many tokens final in a step: drafts are proposals then and no inputs, images come one by one",
    ),
  evaluationSize: z
    .int()
    .positive()
    .max(LARGEST_IMAGE)
    .optional()
    .describe("pixels to resize the images to, as for scoring"),
  batchSize: z.int().positive().optional().describe("images at a time; 64, or 1 with --lookahead, when left out"),
  ...seedSetting,
  ...engineSettings,
});

export type Settings = z.infer<typeof schema>;

/** What a preset sets. Unknown names are left to validation. */
function presetSettings({ preset }: Record<string, unknown>): Record<string, unknown> {
  const found = typeof preset === "string" ? PRESETS[preset] : undefined;
  if (!found) return {};
  const { guidance, temperature, topK, topP, images, evaluationSize } = found;
  const guidances = Array.isArray(guidance) ? (guidance as Guidance[]) : [guidance as Guidance];
  const { kind, scale: _, ...numbers } = guidances[0]!;
  const scales = guidances.map(({ scale }) => scale);
  const scale = Array.isArray(guidance) ? scales : scales[0];
  return { guidance: kind, ...numbers, scale, temperature, topK, topP, count: images, evaluationSize };
}

export const sampleCommand: CommandDefinition<typeof schema.shape> = {
  name: "sample",
  description: "generate images",
  schema,
  defaults: presetSettings,
  load: async () => (await import("../commands/sample")).command,
};
