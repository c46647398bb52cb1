import { relative, resolve } from "node:path";
import { TensorARError } from "@tensorar/core";
import { type ExportManifest, ONLY } from "@tensorar/manifest";
import { type ConditionSpec, evidenceIn, type LoadedModel, type OwnBackbone, refuseChained } from "@tensorar/model";
import { loadModel } from "@tensorar/model/node";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind } from "@tensorar/tokenizer";
import { loadTokenizer, type TokenizerFolder } from "@tensorar/tokenizer/node";

/** A model and the tokenizer of its codes, and what a runtime must know of them. */
export interface Sources {
  readonly model: LoadedModel;
  readonly tokenizer: TokenizerFolder<TokenizerKind>;
  readonly sizes: SourceSizes;
}

export type SourceSizes = Omit<
  ExportManifest,
  "kind" | "model" | "tokenizer" | "weights" | "target" | "sessions" | "generation" | "files"
>;

/**
 * @param own the backbone of a model that this project does not have
 * @throws TensorARError when a folder can't be read, the two do not belong together, or the model is chained
 */
export async function loadSources(modelDir: string, tokenizerDir: string, own?: OwnBackbone): Promise<Sources> {
  const model = await loadModel(modelDir, own);
  refuseChained(model.model, `${modelDir}: an export`);
  const tokenizer = await loadTokenizer(tokenizerDir, TOKENIZER_KINDS);
  const { tokens, vocabSize } = model.model.backbone;
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
  return { model, tokenizer, sizes: sizesOf(model, { grid, imageSize: tokenizer.imageSize }) };
}

/** What the manifest says of a model and of its images. */
function sizesOf(
  { model, classes, noiseRates, tensors }: LoadedModel,
  images: Pick<SourceSizes, "grid" | "imageSize">,
): SourceSizes {
  const { windowSize, backbone, blanks } = model;
  const { tokens, vocabSize, unconditionalClass, conditionPositions = null, prompts, cache, factors } = backbone;
  const evidence = evidenceIn(tensors);
  return {
    windowSize,
    tokens,
    vocabSize,
    ...(factors && { factors: [...factors.sizes] }),
    unconditionalClass,
    ...(prompts && { padId: prompts.padId, promptTemplate: prompts.template }),
    ...(prompts?.maxTokens !== undefined && { maxPromptTokens: prompts.maxTokens }),
    conditionPositions,
    condition: conditionParts(model, classes.length),
    stateWidth: backbone.width,
    cache,
    ...images,
    classes,
    noiseRates,
    ...(evidence && { evidence }),
    ...(blanks && { blanks: true }),
  };
}

/** What a condition consists of, with bounds of its integers: classes and none, text tokens, or flags. */
function conditionParts({ backbone }: LoadedModel["model"], classes: number): ExportManifest["condition"] {
  const { condition, unconditionalClass, prompts } = backbone;
  const below = (name: string): number => {
    if (name === ONLY) return Math.max(1, unconditionalClass + 1, classes);
    return name === "prompt" && prompts ? prompts.vocabSize : 2;
  };
  const part = (name: string, { dtype, shape }: ConditionSpec) => ({
    dtype,
    shape: [...shape],
    ...(dtype === "int32" && { below: below(name) }),
  });
  if (isSpec(condition)) return { [ONLY]: part(ONLY, condition) };
  return Object.fromEntries(Object.entries(condition).map(([name, each]) => [name, part(name, each)]));
}

const isSpec = (condition: object): condition is ConditionSpec => "dtype" in condition;

/** Where the manifest says a source lies: relative to the export, so that both can move together. */
export const sourcePath = (exportDir: string, sourceDir: string): string =>
  relative(resolve(exportDir), resolve(sourceDir)).replaceAll("\\", "/");
