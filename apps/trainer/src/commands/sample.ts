import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeNpz } from "@tensorar/checkpoint/node";
import { TensorARError } from "@tensorar/core";
import { loadModel, type ModelFolder, modelOf } from "@tensorar/model/node";
import type { DraftPolicy, Guidance, PerFactor } from "@tensorar/sampler";
import { createTokenizer, TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import type { CommandBody } from "../command";
import { samplingConditions } from "../conditions/sampling-conditions";
import type { Settings } from "../declarations/sample";
import { openDecoder } from "../decoder-runner";
import { chooseEngine } from "../engine/choose-engine";
import { saveSamples } from "../folders/samples-folder";
import { imageGrid, savePng } from "../images/grid";
import { sampleCodes } from "../sampling";
import { openTokenizer } from "../tokenizer-runner";

function only(value: number | undefined, flag: string, belongsTo: string): void {
  if (value !== undefined) throw new TensorARError(`${flag} ${value} belongs to ${belongsTo}; leave it out`);
}

function guidanceOf({ scale, ...settings }: Settings): PerFactor<Guidance> {
  return Array.isArray(scale) ? scale.map((each) => guidanceAt(settings, each)) : guidanceAt(settings, scale);
}

function guidanceAt({ guidance, interval, power }: Omit<Settings, "scale">, scale: number): Guidance {
  if (guidance !== "interval") only(interval, "--interval", "--guidance interval");
  if (guidance !== "power-cosine") only(power, "--power", "--guidance power-cosine");
  if (guidance === "constant") return { kind: guidance, scale };
  if (guidance === "interval") {
    if (interval === undefined)
      throw new TensorARError("--guidance interval needs --interval, the last decode step that is guided");
    return { kind: guidance, scale, interval };
  }
  if (power === undefined) throw new TensorARError("--guidance power-cosine needs --power");
  return { kind: guidance, scale, power };
}

/** Draft policy by its name on the command line; β(j) comes from the model's own training. */
export function draftPolicy(
  drafts: Settings["drafts"],
  temperature: number | undefined,
  noiseRates: readonly number[],
): DraftPolicy {
  if (drafts === "argmax" || drafts === "noise") {
    only(temperature, "--draft-temperature", "--drafts raw or renoise");
    return { kind: drafts };
  }
  return drafts === "renoise"
    ? { kind: drafts, rates: noiseRates, temperature: temperature ?? 1 }
    : { kind: drafts, temperature: temperature ?? 1 };
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const model = await loadModel(settings.model);
    const tokenizerFolder = await loadTokenizer(settings.tokenizer, TOKENIZER_KINDS);
    checkTokenizer(model, settings.model, createTokenizer(tokenizerFolder).codebookSize, settings.tokenizer);
    const { conditioning, conditions, labels, names } = await samplingConditions(model, settings.model, settings);
    const { seed, temperature, topK, topP, batchSize } = settings;
    const sampling = {
      seed,
      temperature,
      topK,
      topP,
      batchSize,
      guidance: guidanceOf(settings),
      lookahead: settings.lookahead,
      drafts: draftPolicy(settings.drafts, settings.draftTemperature, model.noiseRates),
    };
    const engine = await chooseEngine(settings.engine, settings.threads);
    const tokenizer = await openTokenizer(tokenizerFolder, engine);
    const { decoder, dispose } = await openDecoder(model, conditioning, engine, {
      ahead: settings.lookahead !== undefined,
    });
    const { codes, trace } = await sampleCodes("sample", decoder, conditions, sampling, signal);
    const imageSize = settings.evaluationSize ?? tokenizerFolder.imageSize;
    const images = await tokenizer.decode(codes, imageSize);
    await mkdir(settings.out, { recursive: true });
    await saveSamples(settings.out, {
      count: settings.count,
      imageSize,
      windowSize: decoder.windowSize,
      grid: model.grid,
      classes: [...names],
      settings,
      images,
      labels,
      codes,
      trace,
    });
    if (settings.npz) {
      const shape = [settings.count, imageSize, imageSize, 3];
      await writeNpz(join(settings.out, "samples.npz"), { arr_0: { dtype: "uint8", shape, data: images } });
    }
    const shown = Math.min(settings.count, 256);
    const grid = await imageGrid(images.subarray(0, shown * imageSize * imageSize * 3), {
      count: shown,
      height: imageSize,
      width: imageSize,
      scale: 2,
    });
    await savePng(join(settings.out, "grid.png"), grid);
    await Promise.all([dispose(), tokenizer.dispose()]);
    console.log(`${settings.count} images in ${settings.out}; look at ${join(settings.out, "grid.png")}`);
  },
};

/** @throws TensorARError when codes of the model are not codes of the tokenizer */
export function checkTokenizer(model: ModelFolder, modelDir: string, vocabSize: number, tokenizerDir: string): void {
  const predicted = modelOf(model).backbone.vocabSize;
  if (predicted !== vocabSize) {
    throw new TensorARError(
      `${modelDir} predicts ${predicted} codes, ${tokenizerDir} has ${vocabSize}; use the tokenizer that it was trained with`,
    );
  }
}
