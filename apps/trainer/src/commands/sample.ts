import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { loadModel, type ModelFolder, modelOf } from "@tensorar/model/node";
import { type DraftPolicy, type Guidance, type PerFactor, PRESETS } from "@tensorar/sampler";
import { createTokenizer, TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { samplingConditions } from "../conditions/sampling-conditions";
import { openDecoder } from "../decoder-runner";
import { chooseEngine } from "../engine/choose-engine";
import { saveSamples } from "../folders/samples-folder";
import { imageGrid, savePng } from "../images/grid";
import { sampleCodes } from "../sampling";
import { openTokenizer } from "../tokenizer-runner";
import { engineSettings, seedSetting } from "./settings";

/** One number, or one for each sub-token of models whose tokens consist of several. */
const perFactor = <T extends z.ZodType<number>>(number: T) => z.union([number, z.array(number).min(1)]);
const EACH = "; several, with commas, for the sub-tokens of a token";

const schema = z.strictObject({
  model: z.string().describe("model folder (base or TensorAR)"),
  tokenizer: z.string().describe("tokenizer folder"),
  out: z.string().describe("folder to write images, codes, trace and manifest to"),
  preset: z
    .enum(Object.keys(PRESETS) as [string, ...string[]])
    .optional()
    .describe("settings of an original repository, unless they are given"),
  count: z.int().positive().default(64).describe("images"),
  classes: z.array(z.string()).default([]).describe("class names or indices, used in turn; all classes when left out"),
  prompt: z.string().optional().describe("description of the images, for models conditioned on text"),
  prompts: z.string().optional().describe("text file with one description a line, used in turn"),
  captions: z.string().optional().describe("safetensors file with features of captions, used in turn"),
  guidance: z
    .enum(["constant", "interval", "power-cosine"])
    .default("constant")
    .describe("kind of classifier-free guidance"),
  scale: perFactor(z.number().nonnegative()).default(1).describe(`guidance scale; 1 is none${EACH}`),
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
  npz: z.boolean().default(false).describe("also write samples.npz, which evaluation suites of other projects take"),
  lookahead: z
    .int()
    .min(2)
    .optional()
    .describe(
      "make up to so many tokens final in a step: drafts are proposals then and no inputs, images come one by one",
    ),
  evaluationSize: z.int().positive().optional().describe("pixels to resize the images to, as for scoring"),
  batchSize: z.int().positive().default(64).describe("images at a time"),
  ...seedSetting,
  ...engineSettings,
});

export type SampleSettings = z.infer<typeof schema>;

function only(value: number | undefined, flag: string, belongsTo: string): void {
  if (value !== undefined) throw new TensorARError(`${flag} ${value} belongs to ${belongsTo}; leave it out`);
}

function guidanceOf({ scale, ...settings }: SampleSettings): PerFactor<Guidance> {
  return Array.isArray(scale) ? scale.map((each) => guidanceAt(settings, each)) : guidanceAt(settings, scale);
}

function guidanceAt({ guidance, interval, power }: Omit<SampleSettings, "scale">, scale: number): Guidance {
  if (guidance !== "interval") only(interval, "--interval", "--guidance interval");
  if (guidance !== "power-cosine") only(power, "--power", "--guidance power-cosine");
  if (guidance === "constant") return { kind: guidance, scale };
  if (guidance === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind: guidance, scale, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind: guidance, scale, power };
}

/** Draft policy by its name on the command line; β(j) comes from the model's own training. */
export function draftPolicy(
  drafts: SampleSettings["drafts"],
  temperature: number | undefined,
  noiseRates: readonly number[],
): DraftPolicy {
  if (drafts === "argmax" || drafts === "noise") {
    only(temperature, "--draft-temperature", "--drafts raw or renoise");
    return { kind: drafts };
  }
  return drafts === "renoise"
    ? { kind: drafts, rates: noiseRates, temperature: temperature ?? 1 }
    : { kind: drafts, temperature: temperature ?? 1 };
}

/** What a preset sets. Unknown names are left to validation. */
export function presetSettings({ preset }: Record<string, unknown>): Record<string, unknown> {
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
  async run(settings, signal) {
    const model = await loadModel(settings.model);
    const tokenizerFolder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
    checkTokenizer(model, settings.model, createTokenizer(tokenizerFolder).codebookSize, settings.tokenizer);
    const { conditioning, conditions, labels, names } = await samplingConditions(model, settings.model, settings);
    const { seed, temperature, topK, topP, batchSize } = settings;
    const sampling = {
      seed,
      temperature,
      topK,
      topP,
      batchSize,
      guidance: guidanceOf(settings),
      lookahead: settings.lookahead,
      drafts: draftPolicy(settings.drafts, settings.draftTemperature, model.noiseRates),
    };
    const engine = await chooseEngine(settings.engine, settings.threads);
    const tokenizer = await openTokenizer(tokenizerFolder, engine);
    const { decoder, dispose } = await openDecoder(model, conditioning, engine, {
      ahead: settings.lookahead !== undefined,
    });
    const { codes, trace } = await sampleCodes("sample", decoder, conditions, sampling, signal);
    const imageSize = settings.evaluationSize ?? tokenizerFolder.imageSize;
    const images = await tokenizer.decode(codes, imageSize);
    await mkdir(settings.out, { recursive: true });
    await saveSamples(settings.out, {
      count: settings.count,
      imageSize,
      windowSize: decoder.windowSize,
      grid: model.grid,
      classes: [...names],
      settings,
      images,
      labels,
      codes,
      trace,
    });
    if (settings.npz) {
      const shape = [settings.count, imageSize, imageSize, 3];
      await writeNpz(join(settings.out, "samples.npz"), { arr_0: { dtype: "uint8", shape, data: images } });
    }
    const shown = Math.min(settings.count, 256);
    const grid = await imageGrid(images.subarray(0, shown * imageSize * imageSize * 3), {
      count: shown,
      height: imageSize,
      width: imageSize,
      scale: 2,
    });
    await savePng(join(settings.out, "grid.png"), grid);
    await Promise.all([dispose(), tokenizer.dispose()]);
    console.log(`${settings.count} images in ${settings.out}; look at ${join(settings.out, "grid.png")}`);
  },
};

/** @throws TensorARError when codes of the model are not codes of the tokenizer */
export function checkTokenizer(model: ModelFolder, modelDir: string, vocabSize: number, tokenizerDir: string): void {
  const predicted = modelOf(model).backbone.vocabSize;
  if (predicted !== vocabSize) {
    throw new TensorARError(
      `${modelDir} predicts ${predicted} codes, ${tokenizerDir} has ${vocabSize}; use the tokenizer that it was trained with`,
    );
  }
}
