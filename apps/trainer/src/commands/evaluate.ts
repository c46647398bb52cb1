import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { TensorARError } from "@tensorar/core";
import { writeFileAtomic } from "@tensorar/core/node";
import { createRefinement } from "@tensorar/metrics";
import { loadModel } from "@tensorar/model/node";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import type { CommandBody } from "../command";
import { trainingConditions } from "../conditions/training-conditions";
import type { Settings } from "../declarations/evaluate";
import { chooseEngine } from "../engine/choose-engine";
import type { Engine } from "../engine/engine";
import { calibrate } from "../evaluation/calibration";
import { compareStatistics } from "../evaluation/compare";
import { compareFeatures, type Distances, featuresOf, type ImageSet } from "../evaluation/features";
import { openImages } from "../evaluation/image-stream";
import { openInception } from "../evaluation/inception-runner";
import { gatherStatistics } from "../evaluation/inception-statistics";
import { mergeStatistics, readStatistics, writeStatistics } from "../evaluation/statistics-file";
import { loadCodes } from "../folders/codes-folder";
import { openSamples } from "../folders/samples-folder";
import { holdsSamples, SHARD_SIZE } from "../folders/samples-manifest";
import { type EvaluationResults, evaluationPage, measureRows, type Shown } from "../report/evaluation-page";
import { openTokenizer } from "../tokenizer-runner";

/** Images of a stream, all of them, of one size. */
async function wholeSet(path: string, size: number): Promise<ImageSet> {
  const parts: Uint8Array[] = [];
  for await (const { height, width, pixels } of (await openImages(path)).batches(256)) {
    if (height !== size || width !== size)
      throw new TensorARError(`${path} holds images of ${height} x ${width} px, the tokenizer takes ${size} px`);
    parts.push(pixels);
  }
  const bytes = size * size * 3;
  const all = Buffer.concat(parts);
  return {
    count: all.length / bytes,
    async read(rows) {
      const out = new Uint8Array(rows.length * bytes);
      for (const [i, row] of rows.entries()) out.set(all.subarray(row * bytes, (row + 1) * bytes), i * bytes);
      return out;
    },
  };
}

/** Distances in the features of a tokenizer's encoder. */
async function byTokenizer(dir: string, { samples, reference }: Settings, engine: Engine): Promise<Distances> {
  const folder = await loadTokenizer(dir, TOKENIZER_KINDS);
  const [fake, real] = [await wholeSet(samples, folder.imageSize), await wholeSet(reference, folder.imageSize)];
  const tokenizer = await openTokenizer(folder, engine);
  try {
    return compareFeatures(await featuresOf(fake, tokenizer), await featuresOf(real, tokenizer));
  } finally {
    await tokenizer.dispose();
  }
}

/** FID and its like. */
async function byInception(weights: string, settings: Settings, engine: Engine, signal: AbortSignal) {
  const { samples, reference, saveStatistics, neighbours: kept, batchSize, firstImage, seed } = settings;
  const known = reference.endsWith(".npz") ? await readStatistics(reference) : undefined;
  const shards = samples.split(",");
  if (shards.length > 1 || (samples.endsWith(".npz") && (await readStatistics(samples)))) {
    if (!known)
      throw new TensorARError(
        `${reference} holds no statistics; give some (.npz), since the samples are given as statistics`,
      );
    const merged = await mergeStatistics(shards, kept);
    if (saveStatistics !== undefined) await writeStatistics(saveStatistics, merged);
    return compareStatistics(merged, known, engine, seed);
  }
  const streams = { samples: await openImages(samples), reference: known ? undefined : await openImages(reference) };
  const inception = await openInception(weights, engine);
  try {
    const options = { batchSize, kept, first: 0, signal };
    const fake = await gatherStatistics("samples", streams.samples, inception, { ...options, first: firstImage });
    if (saveStatistics !== undefined) await writeStatistics(saveStatistics, fake);
    const real = known ?? (await gatherStatistics("reference", streams.reference!, inception, options));
    return await compareStatistics(fake, real, engine, seed);
  } finally {
    await inception.dispose();
  }
}

const SHOWN = 64;

/** The first images of a set; undefined for statistics. */
async function firstImages(path: string): Promise<Shown | undefined> {
  if (path.includes(",") || (path.endsWith(".npz") && (await readStatistics(path)))) return undefined;
  for await (const batch of (await openImages(path)).batches(SHOWN)) return batch;
  return undefined;
}

/** What refinement did, where the samples hold its trace. */
async function refinementOf(dir: string) {
  if (!holdsSamples(dir)) return undefined;
  const samples = await openSamples(dir);
  const { count, tokens, windowSize, grid } = samples;
  const refinement = createRefinement({ tokens, windowSize });
  for (let first = 0; first < count; first += SHARD_SIZE)
    refinement.add((await samples.read(first, Math.min(SHARD_SIZE, count - first))).trace);
  return { ...refinement.result(), grid };
}

async function calibration(modelDir: string, codesDir: string, engine: Engine, settings: Settings) {
  const model = await loadModel(modelDir);
  const codes = await loadCodes(codesDir);
  const conditions = await trainingConditions(model, modelDir, codes, settings.captions);
  return calibrate(model, codes, conditions, engine, settings.images, settings.seed);
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    const { model, codes, inception, tokenizer } = settings;
    if ((model === undefined) !== (codes === undefined))
      throw new TensorARError("--model and --codes go together; give both or neither");
    if (inception === undefined && tokenizer === undefined)
      throw new TensorARError("nothing makes features; give --inception (for FID), --tokenizer, or both");
    const engine = await chooseEngine(settings.engine, settings.threads);
    const distances = tokenizer === undefined ? undefined : await byTokenizer(tokenizer, settings, engine);
    const measures = inception === undefined ? undefined : await byInception(inception, settings, engine, signal);
    const refinement = await refinementOf(settings.samples);
    const results = {
      ...distances,
      ...(measures && { inception: measures }),
      ...(refinement && { refinement }),
      ...(model !== undefined &&
        codes !== undefined && { calibration: await calibration(model, codes, engine, settings) }),
    };
    const shown: EvaluationResults = {
      ...(measures && { inception: measures }),
      ...(distances && { tokenizerFeatures: { ...distances } }),
      ...(refinement && { refinement }),
    };
    if (settings.out !== undefined)
      await writeText(settings.out, `${JSON.stringify({ settings, ...results }, null, 2)}\n`);
    if (settings.report !== undefined) {
      const pictures = {
        samples: await firstImages(settings.samples),
        reference: await firstImages(settings.reference),
      };
      await writeText(settings.report, await evaluationPage(`Evaluation of ${settings.samples}`, shown, pictures));
    }
    const rows = measureRows(shown);
    const width = Math.max(...rows.map(([name]) => name!.length));
    for (const [name, value, better] of rows) console.log(`${name!.padEnd(width)}  ${value!.padStart(8)}  ${better}`);
    if (refinement) console.log(`flip rate ${(100 * refinement.flipRate).toFixed(1)} %`);
    for (const warning of measures?.warnings ?? []) console.log(`note: ${warning}`);
  },
};

async function writeText(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, text);
}
