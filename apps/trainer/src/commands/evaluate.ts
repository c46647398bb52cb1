import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@tensorar/checkpoint/node";
import { refinementStatistics } from "@tensorar/metrics";
import { loadModel } from "@tensorar/model/node";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import { z } from "zod";
import type { CommandDefinition } from "../command";
import { trainingConditions } from "../conditions/training-conditions";
import { type Dataset, openDataset } from "../data/dataset";
import { chooseEngine } from "../engine/choose-engine";
import type { Engine } from "../engine/engine";
import { TensorARError } from "../errors";
import { calibrate } from "../evaluation/calibration";
import { compareFeatures, featuresOf, type ImageSet } from "../evaluation/features";
import { loadCodes } from "../folders/codes-folder";
import { loadSamples, type Samples } from "../folders/samples-folder";
import { openTokenizer } from "../tokenizer-runner";
import { engineSettings, seedSetting } from "./settings";

const schema = z.strictObject({
  samples: z.string().describe("folder of samples (written by `tensorar sample`)"),
  reference: z.string().describe("prepared data set to compare with"),
  tokenizer: z.string().describe("tokenizer folder; its encoder makes the features"),
  model: z.string().optional().describe("with --codes: the model, to score its predictions on held-out images"),
  codes: z.string().optional().describe("with --model: the folder of codes"),
  captions: z.string().optional().describe("with --codes: features of their captions, as in `finetune`"),
  images: z.int().positive().default(512).describe("held-out images scored with --model and --codes"),
  out: z.string().optional().describe("JSON file for the results"),
  ...seedSetting,
  ...engineSettings,
});

/** Images of a data set, all of them. */
export const wholeDataset = (dataset: Dataset): ImageSet => ({
  count: dataset.count,
  read: (rows) => dataset.readImages(rows),
});

/** Generated images. */
export function sampleImages({ images, count, imageSize }: Samples): ImageSet {
  const bytes = imageSize * imageSize * 3;
  return {
    count,
    async read(rows) {
      const out = new Uint8Array(rows.length * bytes);
      for (const [i, row] of rows.entries()) out.set(images.subarray(row * bytes, (row + 1) * bytes), i * bytes);
      return out;
    },
  };
}

async function calibration(modelDir: string, codesDir: string, engine: Engine, settings: z.infer<typeof schema>) {
  const model = await loadModel(modelDir);
  const codes = await loadCodes(codesDir);
  const conditions = await trainingConditions(model, modelDir, codes, settings.captions);
  return calibrate(model, codes, conditions, engine, settings.images, settings.seed);
}

export const evaluateCommand: CommandDefinition<typeof schema.shape> = {
  name: "evaluate",
  description: "compare samples with real images, and score a model's predictions by refinement depth",
  schema,
  async run(settings) {
    if ((settings.model === undefined) !== (settings.codes === undefined))
      throw new TensorARError("--model and --codes go together; give both or neither");
    const samples = await loadSamples(settings.samples);
    const reference = await openDataset(settings.reference);
    const tokenizerFolder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
    for (const [what, size] of [
      [settings.samples, samples.imageSize],
      [settings.reference, reference.info.size],
    ] as const) {
      if (size !== tokenizerFolder.imageSize)
        throw new TensorARError(
          `${what} holds images of ${size} px, the tokenizer ${settings.tokenizer} takes ${tokenizerFolder.imageSize} px`,
        );
    }
    const engine = await chooseEngine(settings.engine, settings.threads);
    const tokenizer = await openTokenizer(tokenizerFolder, engine);
    const distances = compareFeatures(
      await featuresOf(sampleImages(samples), tokenizer),
      await featuresOf(wholeDataset(reference), tokenizer),
    );
    await tokenizer.dispose();
    const { count, windowSize, codes } = samples;
    const result = {
      ...distances,
      refinement: refinementStatistics(samples.trace, { images: count, tokens: codes.length / count, windowSize }),
      ...(settings.model !== undefined &&
        settings.codes !== undefined && {
          calibration: await calibration(settings.model, settings.codes, engine, settings),
        }),
    };
    if (settings.out !== undefined) {
      await mkdir(join(settings.out, ".."), { recursive: true });
      await writeFileAtomic(settings.out, `${JSON.stringify({ settings, ...result }, null, 2)}\n`);
    }
    console.log(JSON.stringify(result, null, 2));
  },
};
