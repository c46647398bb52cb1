import { type CommandBody, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { type Codes, loadCodes } from "@tensorar/data";
import type { OwnBackbone } from "@tensorar/model";
import { loadBackbone } from "@tensorar/model/node";
import { pretrainOwnTask, pretrainTask, pretrainTextTask, train } from "@tensorar/training";
import type { Settings } from "../declarations/pretrain";
import { recipeOf } from "../recipe";
import { tensorarOptions, validationOf } from "../tensorar-options";

/** @throws TensorARError for settings that do not go together */
function taskOf(settings: Settings, codes: Codes, own: OwnBackbone | undefined) {
  const { width, layers, heads, condition, encoderWidth, encoderLayers, encoderHeads } = settings;
  const { vocabulary, captionTokens } = settings;
  const attached = tensorarOptions(settings, false);
  const tensorar = settings.windowSize > 1 ? attached : undefined;
  const options = { ...settings, tensorar };
  const sizes = { dim: width, n_layer: layers, n_head: heads, multiple_of: 64 };
  if (condition === "class") return own ? pretrainOwnTask(codes, own, options) : pretrainTask(codes, sizes, options);
  if (own) throw new TensorARError("--condition captions trains LlamaGen's decoder; leave --backbone out");
  const encoder = {
    width: encoderWidth ?? 128,
    layers: encoderLayers ?? 2,
    heads: encoderHeads ?? 4,
    vocabulary: vocabulary ?? 3072,
    maxTokens: captionTokens ?? 32,
  };
  return pretrainTextTask(codes, sizes, encoder, options);
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const codes = await loadCodes(settings.codes);
    const own = await loadBackbone(settings.backbone);
    await train(taskOf(settings, codes, own), {
      ...settings,
      out: settings.output,
      validateEvery: validationOf(settings, codes),
      recipe: recipeOf(settings),
      signal,
      progress: startProgress,
      note: console.error,
    });
    console.log(`model written to ${settings.output}`);
  },
};
