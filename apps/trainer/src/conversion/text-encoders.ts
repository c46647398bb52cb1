import { basename, join } from "node:path";
import { TensorARError } from "@tensorar/core";
import { type Backbone, type Condition, T5_SIZES, type T5Config, t5Encoder } from "@tensorar/model";
import { expectFeatureSize, featureSize } from "@tensorar/text-encoder";
import { describeTextEncoder, textEncoderPath } from "@tensorar/text-encoder/node";
import { copyPromptTokenizer } from "@tensorar/training";
import type { Settings } from "../declarations/convert";
import type { TextEncoderName } from "./family-names";
import { check, choose, configFile, type Write, writeJson } from "./plan";

/**
 * What checkpoints of text encoders hold: the decoder that stands beside an encoder, and its embeddings under a second name, are
 * not read.
 */
const ENCODERS = {
  t5: {
    functions: (config: object) => t5Encoder(config as T5Config), // which checks it
    sizes: T5_SIZES,
    ignored: /^(decoder\.|lm_head\.|encoder\.embed_tokens\.)/,
  },
} as const satisfies Record<TextEncoderName, unknown>;

/** Settings of models, which say nothing about a text encoder. */
const OF_MODELS = ["tokenizer", "tokenizerModel", "imageSize", "textEncoder"] as const;

/** Checks a checkpoint of a text encoder. @throws TensorARError saying what is missing */
export async function planTextEncoder(
  from: TextEncoderName,
  source: string | undefined,
  settings: Settings,
): Promise<Write> {
  const { model = "", textLength: maxLength, cleanCaptions } = settings;
  const wrong = OF_MODELS.find((name) => settings[name] !== undefined);
  if (wrong !== undefined || source === undefined)
    throw new TensorARError(
      `--from ${from} converts a text encoder: give its checkpoint, and no settings of image models${wrong ? ` (${wrong})` : ""}`,
    );
  const { functions, sizes, ignored } = ENCODERS[from];
  const config = (await configFile(model)) ?? choose(sizes, model, `--model of ${from}`);
  const { shapes } = functions(config);
  const conversion = await check({ source, shapes, what: `${model} of ${from}`, usual: "model", ignored }, settings);
  return async (folder, signal) => {
    await copyPromptTokenizer(source, folder);
    await conversion.write(join(folder, "model.safetensors"), signal);
    const training = { convertedFrom: basename(source), weights: conversion.weights };
    await writeJson(join(folder, "config.json"), {
      kind: from,
      encoder: config,
      maxLength,
      cleanCaptions,
      padding: "left",
      training,
    });
  };
}

/**
 * What `config.json` of a model says of the text encoder that it is given.
 * @throws TensorARError where the model takes none, or features of another width or length
 */
export async function textEncoderField(
  { textEncoder, output }: Settings,
  { condition }: Pick<Backbone<Condition>, "condition">,
): Promise<{ readonly textEncoder?: string }> {
  if (textEncoder === undefined) return {};
  if (!("caption" in condition))
    throw new TensorARError(`--text-encoder ${textEncoder}: this model takes no features of texts; leave it out`);
  const [maxLength, width] = condition.caption.shape as readonly [number, number];
  expectFeatureSize(textEncoder, featureSize(await describeTextEncoder(textEncoder)), { maxLength, width });
  return { textEncoder: textEncoderPath(textEncoder, output) };
}
