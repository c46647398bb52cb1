import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { CommandBody } from "@tensorar/cli";
import { startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { checkOutputFolder, fileError, hashFile, withLock } from "@tensorar/core/node";
import {
  beginSamples,
  completeSamples,
  continueSamples,
  expectSamples,
  type Forms,
  gridPath,
  refinementPath,
  SAMPLES_ENTRIES,
  type SamplesDescription,
  type SamplesWriter,
  writePngs,
} from "@tensorar/data";
import type { LoadedModel } from "@tensorar/model";
import { loadBackbone, loadModel } from "@tensorar/model/node";
import { createTokenizer, TOKENIZER_KINDS, type TokenizerKind } from "@tensorar/tokenizer";
import { loadTokenizer, type TokenizerFolder } from "@tensorar/tokenizer/node";
import type { Engine } from "@tensorar/training";
import type { Settings } from "../declarations/sample";
import { openDecoder } from "../decoder-runner";
import { hashFolder, hashTensors } from "../fingerprints";
import { openEngine } from "../open-engine";
import { imageTitles, writeRefinement } from "../sample-pictures";
import { type SamplingOptions, sampleBatch } from "../sampling";
import { type SamplingConditions, samplingConditions } from "../sampling-conditions";
import { samplingOf, scalesInTurn } from "../sampling-options";
import { openTokenizer } from "../tokenizer-runner";
import { type Turns, turnOf } from "../turns";

/** PNG files are written up to so many images unless asked for. */
const MOST_PNGS = 10_000;

/** Settings that do not change what the samples are: a continued run may differ in these. */
const RUN_ONLY = ["output", "resume", "overwrite", "png", "npz", "batchSize", "threads", "decoding", "parallel"];

interface Work {
  readonly settings: Settings;
  readonly model: LoadedModel;
  readonly tokenizer: TokenizerFolder<TokenizerKind>;
  readonly conditions: SamplingConditions;
  readonly sampling: SamplingOptions;
  readonly turns: Turns;
  readonly imageSize: number;
  readonly engine: Engine;
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { output: out, overwrite, resume, numImages: count, npz } = settings;
    if (resume && overwrite) throw new TensorARError("--resume keeps what --overwrite removes; give one of them");
    if (resume) await expectSamples(out);
    await checkOutputFolder(out, { overwrite: overwrite || resume, entries: SAMPLES_ENTRIES });
    const work = await openWork(settings, signal);
    const forms: Forms = { npz, png: settings.png ?? count <= MOST_PNGS };
    await mkdir(out, { recursive: true }).catch((cause) => {
      throw fileError("create the folder", out, cause);
    });
    await withLock(out, () => fill(work, forms, signal));
    const pictures = [gridPath(out), refinementPath(out)].filter(existsSync);
    console.log(`${count} images in ${out}; look at ${pictures.join(" and ")}`);
  },
};

/** Draws what is missing, and writes it down as it is made. */
async function fill(work: Work, forms: Forms, signal: AbortSignal): Promise<void> {
  const { output: out, numImages: count } = work.settings;
  const samples = await openWriter(work, forms);
  try {
    if (samples.stored < count) await draw(work, samples, signal);
    await completeSamples(out, { ...forms, titles: imageTitles(work.conditions, work.turns) }, signal);
    await drawRefinement(work, signal);
  } catch (error) {
    if (signal.aborted)
      console.error(
        samples.stored === 0
          ? `nothing is written to ${out} yet`
          : `${samples.stored} of ${count} images are in ${out}; --resume continues`,
      );
    throw error;
  }
}

/** Everything that can be wrong with the settings is found here. */
async function openWork(settings: Settings, signal: AbortSignal): Promise<Work> {
  const { model: modelDir, tokenizer: tokenizerDir = tokenizerOf(modelDir) } = settings;
  const model = await loadModel(modelDir, await loadBackbone(settings.backbone));
  const tokenizer = await loadTokenizer(tokenizerDir, TOKENIZER_KINDS);
  checkTokenizer(model, modelDir, tokenizer, tokenizerDir);
  const sampling = samplingOf(settings, model);
  const engine = await openEngine(settings);
  const conditions = await samplingConditions(model, modelDir, settings, { engine, signal });
  return {
    settings,
    model,
    tokenizer,
    conditions,
    sampling,
    turns: {
      conditions: conditions.turns,
      scales: scalesInTurn(settings, model),
      seeds: Array.isArray(settings.seed) ? settings.seed : [settings.seed],
    },
    imageSize: settings.evaluationSize ?? tokenizer.imageSize,
    engine,
  };
}

/** @throws TensorARError where no tokenizer lies in the model's folder or beside it */
function tokenizerOf(modelDir: string): string {
  const places = [join(modelDir, "tokenizer"), join(modelDir, "..", "tokenizer")];
  const found = places.find((place) => existsSync(join(place, "config.json")));
  if (found !== undefined) return found;
  throw new TensorARError(`there is no tokenizer in ${places.join(" or ")}; name its folder with --tokenizer`, {
    code: "missing",
  });
}

/** Pictures of what refinement did, where the model refines. */
async function drawRefinement(
  { settings, model, tokenizer: folder, engine }: Work,
  signal: AbortSignal,
): Promise<void> {
  if (model.tensorar.windowSize === 1) return;
  const tokenizer = await openTokenizer(folder, engine);
  try {
    await writeRefinement(settings.output, tokenizer, signal);
  } finally {
    await tokenizer.dispose();
  }
}

async function openWriter(work: Work, { png }: Forms): Promise<SamplesWriter> {
  const { settings, imageSize } = work;
  const onShard = async (first: number, images: Uint8Array) => {
    if (png) await writePngs(settings.output, first, images, imageSize);
  };
  const description = await describe(work);
  if (!settings.resume) return beginSamples(settings.output, description, onShard);
  const { writer, damaged } = await continueSamples(settings.output, description, onShard);
  const again = damaged > 0 ? `, and ${damaged} damaged shards, which are made again` : "";
  console.error(`${writer.stored} of ${settings.numImages} images are there${again}`);
  return writer;
}

async function describe({ settings, model, tokenizer, conditions, imageSize }: Work): Promise<SamplesDescription> {
  return {
    count: settings.numImages,
    imageSize,
    windowSize: model.tensorar.windowSize,
    grid: model.grid,
    vocabSize: model.model.backbone.vocabSize,
    classes: [...conditions.names],
    settings: Object.fromEntries(Object.entries(settings).filter(([key]) => !RUN_ONLY.includes(key))),
    inputs: {
      model: hashTensors(model.tensors),
      tokenizer: hashTensors(tokenizer.tensors),
      ...(settings.captions !== undefined && { captions: await hashFile(settings.captions) }),
      ...(conditions.textEncoder !== undefined && {
        textEncoder: await hashFolder(conditions.textEncoder),
      }),
    },
  };
}

/** Draws and decodes batch after batch; those whose shards are stored are passed over. */
async function draw(work: Work, samples: SamplesWriter, signal: AbortSignal): Promise<void> {
  const { settings, model, conditions, sampling, turns, imageSize, engine } = work;
  const { numImages: count, batchSize } = settings;
  const tokenizer = await openTokenizer(work.tokenizer, engine);
  const { decoder, dispose } = await openDecoder(model, conditions.conditioning, engine, {
    parallel: settings.decoding === "jacobi",
  });
  const report = startImages(count, samples.stored);
  let [made, steps] = [0, 0];
  try {
    // Batches lie where they would without an interruption: rounding may depend on how many images are computed together.
    for (let first = 0; first < count; first += batchSize) {
      const size = Math.min(batchSize, count - first);
      if (samples.has(first, size)) continue;
      const wanted = Array.from({ length: size }, (_, i) => {
        const { scale, ...turn } = turnOf(turns, first + i);
        return { ...turn, condition: conditions.of(first + i), scale: turns.scales.length > 1 ? scale : undefined };
      });
      const onFraction = (share: number) => report.drawn(share * size);
      const drawn = await sampleBatch(decoder, wanted, sampling, signal, onFraction);
      const images = await tokenizer.decode(drawn.codes, imageSize, signal);
      const labels = conditions.labels.subarray(first, first + size);
      await samples.add(first, { images, labels, codes: drawn.codes, trace: drawn.trace });
      report.finished(size);
      made += size * decoder.tokens;
      steps += drawn.steps.reduce((sum, own) => sum + own, 0);
    }
  } finally {
    report.stop();
    await Promise.all([dispose(), tokenizer.dispose()]);
  }
  console.log(`${(made / steps).toFixed(2)} tokens a step`);
}

/** Progress over images; those of the batch in work count by the share of it that is drawn, but for its decoding. */
function startImages(count: number, stored: number) {
  const progress = startProgress("sample", count, "images", stored);
  let [finished, drawing, drawingMs] = [0, 0.5, 0];
  let batchBegun = performance.now();
  const update = (images: number) => progress.update(Math.min(count, stored + images));
  return {
    /** So many images of the batch are drawn. */
    drawn(images: number) {
      drawingMs = performance.now() - batchBegun;
      update(finished + images * drawing);
    },
    /** A batch is stored. */
    finished(images: number) {
      finished += images;
      drawing = drawingMs / (performance.now() - batchBegun);
      batchBegun = performance.now();
      update(finished);
    },
    stop: () => progress.stop(),
  };
}

/** @throws TensorARError when codes of the model are not codes of the tokenizer, or its images other than RGB */
export function checkTokenizer(
  model: LoadedModel,
  modelDir: string,
  tokenizer: TokenizerFolder<TokenizerKind>,
  tokenizerDir: string,
): void {
  const { vocabSize, factors } = model.model.backbone;
  const { codebookSize, channels, gridOf } = createTokenizer(tokenizer);
  const remedy = "use the tokenizer that it was trained with";
  if (vocabSize !== codebookSize) {
    const predicted = factors ? `${factors.sizes.join(" × ")} = ${vocabSize}` : vocabSize;
    throw new TensorARError(`${modelDir} predicts ${predicted} codes, ${tokenizerDir} has ${codebookSize}; ${remedy}`);
  }
  const grid = gridOf(tokenizer.imageSize);
  if (grid[0] !== model.grid[0] || grid[1] !== model.grid[1])
    throw new TensorARError(
      `${modelDir} predicts ${model.grid.join(" × ")} codes an image, ${tokenizerDir} has ${grid.join(" × ")} for its ${tokenizer.imageSize} pixels; ${remedy}`,
    );
  if (channels !== 3) throw new TensorARError(`${tokenizerDir} makes images of ${channels} channels; use one of RGB`);
}
