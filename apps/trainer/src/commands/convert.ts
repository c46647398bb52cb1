import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { CommandBody } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder } from "@tensorar/core/node";
import { BASE_FORM } from "@tensorar/model";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { TEXT_ENCODER_FILES } from "@tensorar/text-encoder/node";
import { createTokenizer, type TokenizerSpec } from "@tensorar/tokenizer";
import { copyPromptTokenizer, takesPrompts } from "@tensorar/training";
import { FAMILIES, type Family } from "../conversion/families";
import { isTextEncoder } from "../conversion/family-names";
import { imageSizeOfName } from "../conversion/image-size";
import { localSource } from "../conversion/local-source";
import { check, choose, configFile, type Write, writeJson } from "../conversion/plan";
import { planTextEncoder, textEncoderField } from "../conversion/text-encoders";
import type { Settings } from "../declarations/convert";

/** All that `convert` writes into a folder, and a tokenizer folder within. */
const TOKENIZER_ENTRIES = ["model.safetensors", "config.json"];
const ENTRIES = [...TOKENIZER_ENTRIES, "tokenizer", ...TOKENIZER_FILES];

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { output: out, overwrite } = settings;
    if (settings.checkpoint === undefined && settings.tokenizer === undefined)
      throw new TensorARError("nothing to convert; give a checkpoint, --tokenizer, or both");
    if (isTextEncoder(settings.from)) {
      const output = await openOutputFolder(out, { overwrite, entries: TEXT_ENCODER_FILES });
      const write = await planTextEncoder(settings.from, await localSource(settings.checkpoint, signal), settings);
      await output.write((folder) => write(folder, signal));
      console.log(`written to ${output.path}`);
      return;
    }
    const family: Family = FAMILIES[settings.from];
    const imageSize = imageSizeOf(family, settings);
    // A tokenizer alone is put beside a model that is there.
    const output =
      settings.checkpoint === undefined
        ? await openOutputFolder(join(out, "tokenizer"), { overwrite, entries: TOKENIZER_ENTRIES })
        : await openOutputFolder(out, { overwrite, entries: ENTRIES });
    const [checkpoint, tokenizer] = [
      await localSource(settings.checkpoint, signal),
      await localSource(settings.tokenizer, signal),
    ];
    const writeModel = checkpoint && (await planModel(family, checkpoint, imageSize, settings));
    const writeTokenizer = tokenizer && (await planTokenizer(family, tokenizer, imageSize, settings));
    await output.write(async (folder) => {
      if (writeModel) await writeModel(folder, signal);
      if (!writeTokenizer) return;
      const dir = writeModel ? join(folder, "tokenizer") : folder;
      if (writeModel) await mkdir(dir);
      await writeTokenizer(dir, signal);
    });
    console.log(`written to ${output.path}`);
  },
};

/** The weights are the same at every size, so only the file's name can tell. */
function imageSizeOf(family: Family, { imageSize, checkpoint, tokenizer }: Settings): number {
  if (imageSize !== undefined) return imageSize;
  if (family.imageSize !== undefined) return family.imageSize;
  const file = basename((checkpoint ?? tokenizer)!);
  const named = imageSizeOfName(file);
  if (named === undefined)
    throw new TensorARError(
      `the name of ${file} does not say one image size, as img256 or _256 would; give --image-size 256, 384 or 512`,
    );
  console.log(`image size ${named}, as the name of ${file} says (--image-size for another)`);
  return named;
}

async function planModel(family: Family, source: string, imageSize: number, settings: Settings): Promise<Write> {
  const { from, model = "" } = settings;
  const own = await configFile(model);
  const config = own ?? choose(family.sizes, model, `--model of ${from}`)(imageSize);
  const backbone = family.model(config);
  const what = `${model} of ${from}`;
  const { shapes } = backbone;
  const { usual, ignored } = family;
  const conversion = await check({ source, shapes, what, usual: usual.model, ignored }, settings);
  const encoder = await textEncoderField(settings, backbone);
  const side = Math.sqrt(backbone.tokens);
  return async (folder, signal) => {
    if (takesPrompts(backbone)) await copyPromptTokenizer(source, folder);
    await conversion.write(join(folder, "model.safetensors"), signal);
    await writeJson(join(folder, "config.json"), {
      kind: from,
      backbone: config,
      ...BASE_FORM,
      grid: [side, side],
      classes: Array.from({ length: Math.max(0, backbone.unconditionalClass) }, (_, i) => String(i)),
      ...encoder,
      training: { convertedFrom: basename(source), weights: conversion.weights },
    });
  };
}

async function planTokenizer(family: Family, source: string, imageSize: number, settings: Settings): Promise<Write> {
  const { from, tokenizerModel = Object.keys(family.tokenizers)[0]! } = settings;
  const [usual] = Object.values(family.tokenizers) as [TokenizerSpec];
  const own = await configFile(tokenizerModel);
  const spec = own
    ? ({ kind: usual.kind, config: own } as TokenizerSpec) // checked by createTokenizer
    : choose(family.tokenizers, tokenizerModel, `--tokenizer-model of ${from}`);
  const { shapes, gridOf } = createTokenizer(spec);
  gridOf(imageSize);
  const what = `${tokenizerModel} of ${from}`;
  const conversion = await check(
    { source, shapes, what, usual: family.usual.tokenizer, ignored: family.ignored },
    settings,
  );
  return async (folder, signal) => {
    await conversion.write(join(folder, "model.safetensors"), signal);
    const training = { convertedFrom: basename(source), weights: conversion.weights };
    await writeJson(join(folder, "config.json"), { ...spec, imageSize, training });
  };
}
