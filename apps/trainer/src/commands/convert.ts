import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { WantedShapes } from "@tensorar/checkpoint";
import type { CommandBody } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { openOutputFolder, readChecked, writeFileAtomic } from "@tensorar/core/node";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { createTokenizer, type TokenizerSpec } from "@tensorar/tokenizer";
import { copyPromptTokenizer, takesPrompts } from "@tensorar/training";
import { z } from "zod";
import { type CheckedConversion, checkConversion } from "../conversion/convert-tensors";
import { FAMILIES, type Family, type WeightsKind } from "../conversion/families";
import { imageSizeOfName } from "../conversion/image-size";
import { localSource } from "../conversion/local-source";
import type { Settings } from "../declarations/convert";

/** All that `convert` writes into a folder, and a tokenizer folder within. */
const TOKENIZER_ENTRIES = ["model.safetensors", "config.json"];
const ENTRIES = [...TOKENIZER_ENTRIES, "tokenizer", ...TOKENIZER_FILES];

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { out, overwrite } = settings;
    if (settings.checkpoint === undefined && settings.tokenizer === undefined)
      throw new TensorARError("nothing to convert; give a checkpoint, --tokenizer, or both");
    const family: Family = FAMILIES[settings.from];
    const imageSize = imageSizeOf(family, settings);
    // A tokenizer alone is put beside a model that is there.
    const output =
      settings.checkpoint === undefined
        ? await openOutputFolder(join(out, "tokenizer"), { overwrite, entries: TOKENIZER_ENTRIES })
        : await openOutputFolder(out, { overwrite, entries: ENTRIES });
    const [checkpoint, tokenizer] = [await localSource(settings.checkpoint), await localSource(settings.tokenizer)];
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

/** Writes the files of what was checked into a folder. */
type Write = (folder: string, signal: AbortSignal) => Promise<void>;

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
  const conversion = await check(source, backbone.shapes, what, family.usual.model, family, settings);
  const side = Math.sqrt(backbone.tokens);
  return async (folder, signal) => {
    if (takesPrompts(backbone)) await copyPromptTokenizer(source, folder);
    await conversion.write(join(folder, "model.safetensors"), signal);
    await writeJson(join(folder, "config.json"), {
      kind: from,
      backbone: config,
      tensorar: { windowSize: 1, depth: 1, structure: "maps" },
      noiseRates: [0],
      grid: [side, side],
      classes: Array.from({ length: Math.max(0, backbone.nullCondition) }, (_, i) => String(i)),
      training: { convertedFrom: basename(source), weights: conversion.weights },
    });
  };
}

async function planTokenizer(family: Family, source: string, imageSize: number, settings: Settings): Promise<Write> {
  const { from, tokenizerModel = Object.keys(family.tokenizers)[0]! } = settings;
  const [usual] = Object.values(family.tokenizers) as [TokenizerSpec];
  const own = await configFile(tokenizerModel);
  const spec = own
    ? ({ kind: usual.kind, config: own } as unknown as TokenizerSpec) // checked by createTokenizer
    : choose(family.tokenizers, tokenizerModel, `--tokenizer-model of ${from}`);
  const { shapes, gridOf } = createTokenizer(spec);
  gridOf(imageSize);
  const what = `${tokenizerModel} of ${from}`;
  const conversion = await check(source, shapes, what, family.usual.tokenizer, family, settings);
  return async (folder, signal) => {
    await conversion.write(join(folder, "model.safetensors"), signal);
    const training = { convertedFrom: basename(source), weights: conversion.weights };
    await writeJson(join(folder, "config.json"), { ...spec, imageSize, training });
  };
}

async function check(
  source: string,
  shapes: WantedShapes,
  what: string,
  usual: WeightsKind,
  { ignored }: Family,
  { weights, root, stripPrefix, precision }: Settings,
): Promise<CheckedConversion> {
  const conversion = { source, shapes, what, usual, ignored, weights, root, stripPrefix, dtype: precision };
  const checked = await checkConversion(conversion);
  for (const note of checked.notes) console.log(note);
  return checked;
}

/** What a JSON file holds; undefined for what is no file's name. */
const configFile = async (name: string): Promise<object | undefined> =>
  name.endsWith(".json") ? readChecked(name, z.looseObject({}), "a configuration") : undefined;

function choose<T>(from: Readonly<Record<string, T>>, name: string, what: string): T {
  if (Object.hasOwn(from, name)) return from[name]!;
  const known = Object.keys(from).join(", ");
  throw new TensorARError(`${what}: "${name}" is unknown; ${known ? `choose one of ${known}` : "none is supported"}`);
}

const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
