import { type CommandBody, startProgress } from "@tensorar/cli";
import { TensorARError } from "@tensorar/core";
import { checkOutputFile, writeFileAtomic } from "@tensorar/core/node";
import {
  datasetImages,
  describeCounts,
  holdsSamples,
  type ImageCounts,
  type ImageStream,
  loadCodes,
  openDataset,
  openImages,
  openSamples,
  SHARD_SIZE,
} from "@tensorar/data";
import {
  compareFeatures,
  compareStatistics,
  type Distances,
  draftAblation,
  featuresOf,
  gatherStatistics,
  heldOutComparison,
  type InceptionMetrics,
  instructionFollowing,
  loadClassifier,
  mergeStatistics,
  openClassifier,
  openInception,
  readStatistics,
  writeStatistics,
} from "@tensorar/evaluation";
import { type EvaluationResults, evaluationPage, metricRows, type Shown } from "@tensorar/evaluation/report";
import { createRefinement } from "@tensorar/metrics";
import { loadBackbone, loadModel } from "@tensorar/model/node";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import type { Engine } from "@tensorar/training";
import { fitCodes, trainingConditions } from "@tensorar/training";
import type { Settings } from "../declarations/evaluate";
import { imageOptions } from "../image-options";
import { openEngine } from "../open-engine";
import { openTokenizer } from "../tokenizer-runner";

/** The two sets; undefined where statistics are given in place of images. */
type ImageSets = Readonly<Record<"samples" | "reference", ImageStream | undefined>>;

async function openSets(settings: Settings): Promise<ImageSets> {
  const open = async (path: string) =>
    (await isStatistics(path)) ? undefined : openImages(path, imageOptions(settings));
  return { samples: await open(settings.samples), reference: await openReference(settings, open) };
}

async function openReference(
  { reference, referenceSplit }: Settings,
  open: (path: string) => Promise<ImageStream | undefined>,
): Promise<ImageStream | undefined> {
  if (referenceSplit === undefined) return open(reference);
  const dataset = await openDataset(reference);
  const images = dataset[referenceSplit];
  if (images.length > 0) return datasetImages(dataset, images);
  throw new TensorARError(
    `--reference-split ${referenceSplit}: ${reference} has no such images; choose another, or leave it out`,
  );
}

const isStatistics = async (path: string): Promise<boolean> =>
  path.includes(",") || (path.endsWith(".npz") && (await readStatistics(path)) !== undefined);

/** How many images were scored, and what was left out. */
const countsOf = (sets: ImageSets): Record<string, ImageCounts> =>
  Object.fromEntries(Object.entries(sets).flatMap(([name, set]) => (set ? [[name, set.counts()]] : [])));

/** Distances in the features of a tokenizer's encoder. */
async function byTokenizer(
  dir: string,
  settings: Settings,
  sets: ImageSets,
  engine: Engine,
  signal: AbortSignal,
): Promise<Distances> {
  const folder = await loadTokenizer(dir, TOKENIZER_KINDS);
  const tokenizer = await openTokenizer(folder, engine);
  const features = (name: keyof ImageSets) => {
    const set = sets[name];
    if (!set)
      throw new TensorARError(`${settings[name]} holds statistics of Inception's features; --tokenizer takes images`);
    return featuresOf(settings[name], set, tokenizer, folder.imageSize, signal);
  };
  try {
    return await compareFeatures(await features("samples"), await features("reference"), engine, signal);
  } finally {
    await tokenizer.dispose();
  }
}

/** FID and its like. */
async function byInception(
  weights: string,
  settings: Settings,
  sets: ImageSets,
  engine: Engine,
  signal: AbortSignal,
): Promise<InceptionMetrics> {
  const { samples, reference, saveStatistics, neighbours: kept, batchSize, firstImage, seed } = settings;
  const known = sets.reference ? undefined : await readStatistics(reference);
  if (!sets.samples) {
    if (!known)
      throw new TensorARError(
        `${reference} holds no statistics; give some (.npz), since the samples are given as statistics`,
      );
    const merged = await mergeStatistics(samples.split(","), kept);
    if (saveStatistics !== undefined) await writeStatistics(saveStatistics, merged);
    return compareStatistics(merged, known, engine, seed, signal);
  }
  const inception = await openInception(weights, engine);
  try {
    const options = { batchSize, kept, first: 0, signal, progress: startProgress };
    const fake = await gatherStatistics("samples", sets.samples, inception, { ...options, first: firstImage });
    if (saveStatistics !== undefined) await writeStatistics(saveStatistics, fake);
    const real = known ?? (await gatherStatistics("reference", sets.reference!, inception, options));
    return await compareStatistics(fake, real, engine, seed, signal);
  } finally {
    await inception.dispose();
  }
}

const SHOWN = 64;

/** The first images of a set; undefined for statistics. */
async function firstImages(set: ImageStream | undefined): Promise<Shown | undefined> {
  if (set) for await (const batch of set.batches(SHOWN)) return batch;
  return undefined;
}

/** What refinement did, where the samples hold its trace. */
async function refinementOf(dir: string, signal: AbortSignal) {
  if (!holdsSamples(dir)) return undefined;
  const samples = await openSamples(dir);
  const { count, tokens, windowSize, grid } = samples;
  const refinement = createRefinement({ tokens, windowSize });
  for (let first = 0; first < count; first += SHARD_SIZE) {
    signal.throwIfAborted();
    refinement.add((await samples.read(first, Math.min(SHARD_SIZE, count - first))).trace);
  }
  return { ...refinement.result(), grid };
}

async function draftScores(
  modelDir: string,
  codesDir: string,
  engine: Engine,
  settings: Settings,
  signal: AbortSignal,
) {
  const model = await loadModel(modelDir, await loadBackbone(settings.backbone));
  const { codes, note } = fitCodes(model, modelDir, await loadCodes(codesDir), codesDir);
  if (note !== undefined) console.log(note);
  const conditions = await trainingConditions(model, modelDir, codes, settings.captions);
  const { split, images, seed } = settings;
  const rows = codes[split] ?? new Int32Array(0);
  if (rows.length === 0)
    throw new TensorARError(`--split ${split}: ${codesDir} has no such images; choose another, or leave it out`);
  return draftAblation(model, codes, conditions, engine, { images: rows.subarray(0, images), seed, signal });
}

/** Those of a row, by their names. */
const numbersOf = (row: object): Record<string, number> =>
  Object.fromEntries(Object.entries(row).filter((entry): entry is [string, number] => typeof entry[1] === "number"));

/** So few images say nothing of a distance. */
const FEWEST = 3;

/** Whether samples show what they were asked for, and how far they are from held-out images, in the classifier's features. */
async function byClassifier(dir: string, { samples, reference, split }: Settings, engine: Engine, signal: AbortSignal) {
  const folder = await loadClassifier(dir);
  const dataset = await openDataset(reference);
  const classifier = await openClassifier(folder, engine);
  try {
    const opened = await openSamples(samples);
    const following = await instructionFollowing(classifier, opened, dataset, signal);
    const enough = Math.min(dataset[split].length, opened.count) > FEWEST;
    const comparison = enough ? await heldOutComparison(classifier, dataset, split, engine, signal) : undefined;
    const classifierFeatures = await comparison?.compare(samples, await openImages(samples), signal);
    return { dataset: dataset.info.name, following, classifierFeatures, classifier: folder.accuracy };
  } finally {
    await classifier.dispose();
  }
}

/** @throws TensorARError where nothing is to be done */
function checkFlags({ inception, tokenizer, classifier }: Settings): void {
  if (inception === undefined && tokenizer === undefined && classifier === undefined)
    throw new TensorARError("nothing scores images; give --inception (for FID), --tokenizer, --classifier, or several");
}

/** Name, value and which way is better, in columns. */
function printRows(rows: ReturnType<typeof metricRows>): void {
  const width = Math.max(...rows.map(([name]) => name!.length));
  for (const [name, value, better] of rows) console.log(`${name!.padEnd(width)}  ${value!.padStart(8)}  ${better}`);
}

/** All that is scored; undefined what was not asked for. */
async function score(settings: Settings, sets: ImageSets, engine: Engine, signal: AbortSignal) {
  const { model, codes, inception, tokenizer, classifier } = settings;
  const distances = tokenizer === undefined ? undefined : await byTokenizer(tokenizer, settings, sets, engine, signal);
  const metrics = inception === undefined ? undefined : await byInception(inception, settings, sets, engine, signal);
  return {
    images: countsOf(sets), // as they were read
    distances,
    metrics,
    refinement: await refinementOf(settings.samples, signal),
    classified: classifier === undefined ? undefined : await byClassifier(classifier, settings, engine, signal),
    draftAblation:
      model !== undefined && codes !== undefined
        ? await draftScores(model, codes, engine, settings, signal)
        : undefined,
  };
}

type Scores = Awaited<ReturnType<typeof score>>;

/** As the file of results holds them. */
const resultsOf = ({ images, classified, distances, metrics, refinement, draftAblation }: Scores) => ({
  images,
  ...classified?.following,
  ...(classified && {
    dataset: classified.dataset,
    classifier: classified.classifier,
    classifierFeatures: classified.classifierFeatures,
  }),
  ...distances,
  ...(metrics && { inception: metrics }),
  ...(refinement && { refinement }),
  ...(draftAblation && { draftAblation }),
});

/** As pages and the terminal show them. */
const shownOf = ({ classified, distances, metrics, refinement }: Scores): EvaluationResults => ({
  ...(metrics && { inception: metrics }),
  ...(distances && { tokenizerFeatures: numbersOf(distances) }),
  ...(refinement && { refinement }),
  ...(classified?.classifierFeatures && { classifierFeatures: numbersOf(classified.classifierFeatures) }),
  ...(classified && { following: classified.following }),
});

async function writeFiles(settings: Settings, sets: ImageSets, scores: Scores): Promise<void> {
  const { samples, output, report } = settings;
  if (output !== undefined)
    await writeFileAtomic(output, `${JSON.stringify({ settings, ...resultsOf(scores) }, null, 2)}\n`);
  if (report === undefined) return;
  const pictures = {
    samples: await firstImages(sets.samples),
    reference: await firstImages(sets.reference),
  };
  await writeFileAtomic(report, await evaluationPage(`Evaluation of ${samples}`, shownOf(scores), pictures));
}

function print(scores: Scores): void {
  const { images, metrics, refinement } = scores;
  for (const [name, counts] of Object.entries(images)) console.log(`${name}: ${describeCounts(counts)}`);
  printRows(metricRows(shownOf(scores)));
  if (refinement?.flipRate !== undefined) console.log(`flip rate ${(100 * refinement.flipRate).toFixed(1)} %`);
  for (const warning of metrics?.warnings ?? []) console.log(`note: ${warning}`);
}

export const command: CommandBody<Settings> = {
  async run(settings, signal) {
    checkFlags(settings);
    for (const path of [settings.output, settings.report, settings.saveStatistics])
      if (path !== undefined) await checkOutputFile(path, settings);
    const engine = await openEngine(settings);
    const sets = await openSets(settings);
    const scores = await score(settings, sets, engine, signal);
    await writeFiles(settings, sets, scores);
    print(scores);
  },
};
