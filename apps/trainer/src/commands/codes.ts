import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder } from "@tensorar/core/node";
import {
  AUGMENTATION_INDEX,
  AUGMENTED,
  announceAugmentedCodes,
  CODES_FILES,
  type Codes,
  type Dataset,
  openDataset,
  saveCodes,
  type VariantOptions,
  writeAugmentedCodes,
} from "@tensorar/data";
import { codebookUsage } from "@tensorar/metrics";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import { augmentationSource, variantEncoder, variantOptions } from "../augmentation";
import type { Settings } from "../declarations/codes";
import { openEngine } from "../open-engine";
import { openTokenizer, type TokenizerRunner } from "../tokenizer-runner";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const dataset = await openDataset(settings.data);
    const folder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
    if (folder.imageSize !== dataset.info.size) {
      throw new TensorARError(
        `${settings.tokenizer} was trained on ${folder.imageSize} px, ${settings.data} holds ${dataset.info.size} px; prepare the data with --size ${folder.imageSize}`,
      );
    }
    const output = settings.resume
      ? undefined // with what is there
      : await openOutputFolder(settings.output, {
          ...settings,
          entries: [...CODES_FILES, AUGMENTED],
          unlisted: [AUGMENTATION_INDEX],
        });
    const tokenizer = await openTokenizer(folder, await openEngine(settings));
    const variants = variantOptions(settings, dataset, tokenizer);
    try {
      if (output) {
        const codes = await encodeAll(settings, dataset, tokenizer, signal);
        await output.write(async (temporary) => {
          await saveCodes(temporary, codes);
          if (variants)
            await announceAugmentedCodes(temporary, await augmentationSource(settings, dataset, tokenizer, variants));
        });
        report(codes, settings.output);
      }
      if (variants) await addVariants(settings, { dataset, tokenizer, variants }, signal);
    } finally {
      await tokenizer.dispose();
    }
  },
};

/** Codes of all images of a data set. */
async function encodeAll(
  { data, tokenizer: name, batchSize }: Settings,
  dataset: Dataset,
  { grid, codebookSize, encode }: TokenizerRunner,
  signal: AbortSignal,
): Promise<Codes> {
  const tokens = grid[0] * grid[1];
  const codes = new Int32Array(dataset.count * tokens);
  const progress = startProgress("codes", dataset.count, "images");
  try {
    for (let start = 0; start < dataset.count; start += batchSize) {
      signal.throwIfAborted();
      const indices = Array.from({ length: Math.min(batchSize, dataset.count - start) }, (_, i) => start + i);
      codes.set(await encode(await dataset.readImages(indices)), start * tokens);
      progress.update(start + indices.length);
    }
  } finally {
    progress.stop();
  }
  return {
    count: dataset.count,
    grid: [...grid] as [number, number],
    vocabSize: codebookSize,
    classes: [...dataset.classes],
    dataset: data,
    tokenizer: name,
    ...(dataset.allCaptions.some((captions) => captions.length > 0) && { captions: dataset.allCaptions }),
    codes,
    labels: dataset.labels,
    train: dataset.train,
    validation: dataset.validation,
    ...(dataset.test.length > 0 && { test: dataset.test }),
    ...(dataset.combinations.length > 0 && { combinations: dataset.combinations }),
  };
}

function report({ codes, count, grid, vocabSize }: Codes, output: string): void {
  const { used, perplexity } = codebookUsage(codes, vocabSize);
  console.log(
    `${count} images, ${grid.join(" × ")} codes each, to ${output}; ${used} of ${vocabSize} codes in use, perplexity ${perplexity.toFixed(0)}`,
  );
}

interface Augmentation {
  readonly dataset: Dataset;
  readonly tokenizer: TokenizerRunner;
  readonly variants: VariantOptions;
}

/** Adds codes of variants of the images to train on to a folder of codes that announces them. */
async function addVariants(
  settings: Settings,
  { dataset, tokenizer, variants }: Augmentation,
  signal: AbortSignal,
): Promise<void> {
  const source = await augmentationSource(settings, dataset, tokenizer, variants);
  const progress = startProgress("variants", source.images, "images");
  try {
    await writeAugmentedCodes(settings.output, source, {
      encode: variantEncoder(dataset, tokenizer, variants, signal),
      batchSize: settings.batchSize,
      onDone: (images) => progress.update(images),
    });
  } finally {
    progress.stop();
  }
  console.log(`variants of ${source.images} images (${variants.augment.join(", ")}) added to ${settings.output}`);
}
