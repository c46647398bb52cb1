import { relative, resolve } from "node:path";
import { loadModel, type ModelFolder, modelOf } from "@tensorar/model/node";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind } from "@tensorar/tokenizer";
import { loadTokenizer, type TokenizerFolder } from "@tensorar/tokenizer/node";
import { TensorARError } from "./errors";
import type { ExportManifest } from "./manifest";

/** A model and the tokenizer of its codes, and what a runtime must know of them. */
export interface Sources {
  readonly model: ModelFolder;
  readonly tokenizer: TokenizerFolder<TokenizerKind>;
  readonly sizes: SourceSizes;
}

export type SourceSizes = Omit<ExportManifest, "kind" | "model" | "tokenizer" | "weights" | "files">;

/** @throws TensorARError when a folder can't be read, or the two do not belong together */
export async function loadSources(modelDir: string, tokenizerDir: string): Promise<Sources> {
  const model = await loadModel(modelDir);
  const tokenizer = await loadTokenizer(tokenizerDir, TOKENIZER_KINDS);
  const { windowSize, backbone } = modelOf(model);
  const { tokens, vocabSize, nullCondition, conditionSlots, cache } = backbone;
  if (conditionSlots !== 1)
    throw new TensorARError(`${modelDir}: models with more condition slots than one can't be exported yet`);
  const { codebookSize, gridOf } = createTokenizer(tokenizer);
  const grid = gridOf(tokenizer.imageSize);
  if (vocabSize !== codebookSize || model.grid.join() !== grid.join()) {
    throw new TensorARError(
      `${modelDir} predicts a grid of ${model.grid.join(" x ")} with ${vocabSize} codes, ${tokenizerDir} decodes one of ` +
        `${grid.join(" x ")} with ${codebookSize}; give the tokenizer that it was trained with`,
    );
  }
  if (grid[0] * grid[1] !== tokens) {
    throw new TensorARError(
      `${modelDir}/config.json: a grid of ${grid.join(" x ")} does not fit block_size ${tokens}; correct one of them`,
    );
  }
  const { imageSize } = tokenizer;
  const { classes, noiseRates } = model;
  const sizes = { windowSize, tokens, vocabSize, nullCondition, conditionSlots, cache, grid, imageSize };
  return { model, tokenizer, sizes: { ...sizes, classes, noiseRates } };
}

/** Where the manifest says a source lies: relative to the export, so that both can move together. */
export const sourcePath = (exportDir: string, sourceDir: string): string =>
  relative(resolve(exportDir), resolve(sourceDir)).replaceAll("\\", "/");
