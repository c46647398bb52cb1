import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@tensorar/checkpoint/node";
import { loadModel, modelOf } from "@tensorar/model/node";
import { saveModel, trace } from "@tensorar/onnx";
import { gridOf } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import * as tf from "@tensorflow/tfjs-core";
import { TensorARError } from "./errors";
import { decoderStep, type ExportedFunction, imageDecoder } from "./functions";
import type { ExportManifest } from "./manifest";

/** Traces one function and writes its graph. */
async function exportFunction(fn: ExportedFunction, out: string): Promise<void> {
  const model = trace(fn.run as never, fn.inputs as never, {
    weights: fn.weights,
    name: fn.file.replace(/\.onnx$/, ""),
  });
  await saveModel(model, join(out, fn.file));
  tf.dispose(fn.weights);
}

/**
 * Writes `decoder.onnx`, `image-decoder.onnx` and `config.json` for a model and its tokenizer.
 * @throws TensorARError when the two do not belong together
 */
export async function exportFolders(modelDir: string, tokenizerDir: string, out: string): Promise<ExportManifest> {
  const model = await loadModel(modelDir);
  const tokenizer = await loadTokenizer(tokenizerDir);
  const { tokens, vocabSize, nullCondition, conditionSlots, cache } = modelOf(model).backbone;
  const grid = gridOf(tokenizer.config, tokenizer.imageSize);
  if (vocabSize !== tokenizer.config.codebook_size || tokens !== grid[0] * grid[1]) {
    throw new TensorARError(
      `${modelDir} predicts ${tokens} of ${vocabSize} codes, ${tokenizerDir} decodes ${grid[0] * grid[1]} of ${tokenizer.config.codebook_size}; give the tokenizer that it was trained with`,
    );
  }
  await mkdir(out, { recursive: true });
  const functions = [decoderStep(model), imageDecoder(tokenizer)];
  for (const fn of functions) await exportFunction(fn, out);
  const manifest: ExportManifest = {
    model: modelDir,
    tokenizer: tokenizerDir,
    windowSize: model.tensorar.windowSize,
    tokens,
    vocabSize,
    nullCondition,
    conditionSlots,
    cache,
    grid,
    imageSize: tokenizer.imageSize,
    classes: model.classes,
    noiseRates: model.noiseRates,
    files: Object.fromEntries(
      functions.map(({ file, inputs }) => [file, { inputs: inputs as ExportManifest["files"][string]["inputs"] }]),
    ),
  };
  await writeFileAtomic(join(out, "config.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
