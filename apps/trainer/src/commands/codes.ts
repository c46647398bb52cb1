import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder } from "@tensorar/core/node";
import { CODES_FILES, openDataset, saveCodes } from "@tensorar/data";
import { codebookUsage } from "@tensorar/metrics";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import type { Settings } from "../declarations/codes";
import { openEngine } from "../open-engine";
import { openTokenizer } from "../tokenizer-runner";

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const dataset = await openDataset(settings.data);
    const folder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
    if (folder.imageSize !== dataset.info.size) {
      throw new TensorARError(
        `${settings.tokenizer} was trained on ${folder.imageSize} px, ${settings.data} holds ${dataset.info.size} px; prepare the data with --size ${folder.imageSize}`,
      );
    }
    const output = await openOutputFolder(settings.output, { ...settings, entries: CODES_FILES });
    const tokenizer = await openTokenizer(folder, await openEngine(settings));
    const { grid, codebookSize } = tokenizer;
    const tokens = grid[0] * grid[1];
    const codes = new Int32Array(dataset.count * tokens);
    const progress = startProgress("codes", dataset.count, "images");
    for (let start = 0; start < dataset.count; start += settings.batchSize) {
      signal.throwIfAborted();
      const indices = Array.from({ length: Math.min(settings.batchSize, dataset.count - start) }, (_, i) => start + i);
      codes.set(await tokenizer.encode(await dataset.readImages(indices)), start * tokens);
      progress.update(start + indices.length);
    }
    progress.stop();
    await tokenizer.dispose();
    const made = {
      count: dataset.count,
      grid: [...grid] as [number, number],
      vocabSize: codebookSize,
      classes: [...dataset.classes],
      dataset: settings.data,
      tokenizer: settings.tokenizer,
      ...(dataset.allCaptions.some((captions) => captions.length > 0) && { captions: dataset.allCaptions }),
      codes,
      labels: dataset.labels,
      train: dataset.train,
      validation: dataset.validation,
      ...(dataset.test.length > 0 && { test: dataset.test }),
      ...(dataset.combinations.length > 0 && { combinations: dataset.combinations }),
    };
    await output.write((temporary) => saveCodes(temporary, made));
    const { used, perplexity } = codebookUsage(codes, codebookSize);
    console.log(
      `${dataset.count} images, ${grid.join(" × ")} codes each, to ${settings.output}; ${used} of ${codebookSize} codes in use, perplexity ${perplexity.toFixed(0)}`,
    );
  },
};
