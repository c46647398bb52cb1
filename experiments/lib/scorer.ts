import { availableParallelism, cpus } from "node:os";
import {
  type Codes,
  type Dataset,
  datasetImages,
  loadCodes,
  openDataset,
  openImages,
  openSamples,
} from "@tensorar/data";
import {
  type ClassifierRunner,
  classifierAccuracy,
  draftAblation,
  type HeldOutComparison,
  heldOutComparison,
  instructionFollowing,
  loadClassifier,
  openClassifier,
} from "@tensorar/evaluation";
import { createRefinement } from "@tensorar/metrics";
import { loadModel } from "@tensorar/model/node";
import { chooseEngine, type Engine, readLog, trainingConditions } from "@tensorar/training";
import { z } from "zod";

/** What samples are worth. */
export const sampleScores = z.object({
  images: z.int(),
  /** Fréchet distance in the features of the classifier. */
  frechet: z.number(),
  precision: z.number(),
  recall: z.number(),
  density: z.number().optional(),
  coverage: z.number().optional(),
  memorised: z.number(),
  /** Fraction of the samples that the classifier puts into their class. */
  classAccuracy: z.number().optional(),
  flipRate: z.number().optional(),
});

export type SampleScores = z.infer<typeof sampleScores>;

/** What a model predicts of held-out images, and how it was trained. */
export interface ModelScores {
  readonly k: number;
  readonly parameters: number;
  readonly steps: number;
  readonly bestStep: number;
  /** Nats, by split. */
  readonly heldOutLoss: Readonly<Record<string, number>>;
  readonly cross: Readonly<Record<string, number>>;
}

/** Scores everything of one data set; what that takes is opened once. */
export interface Scorer {
  /** Labels of a split's images. */
  labels(split: HeldOut): number[];
  samples(dir: string, split: HeldOut): Promise<SampleScores>;
  /** @param run folder of the training. */
  model(run: string): Promise<ModelScores>;
  /** Where the numbers come from. */
  about(): Promise<{
    processor: string;
    features: string;
    classifier: Record<string, number>;
    real: Record<string, number>;
  }>;
  dispose(): Promise<void>;
}

const { signal } = new AbortController();
const SPLITS = ["validation", "test"] as const;
type HeldOut = (typeof SPLITS)[number];

/** @param dir with `data`, `codes` and `classifier` */
export async function openScorer(dir: string, threads: number): Promise<Scorer> {
  const engine = await chooseEngine("auto", { threads });
  const dataset = await openDataset(`${dir}/data`);
  const codes = await loadCodes(`${dir}/codes`);
  const folder = await loadClassifier(`${dir}/classifier`);
  const classifier = await openClassifier(folder, engine);
  const comparisons = await comparisonsOf(classifier, dataset, engine);
  return {
    labels: (split) => Array.from(dataset[split], (image) => dataset.labels[image]!),
    samples: (samplesDir, split) => scoreSamples(samplesDir, split, { classifier, comparisons, dataset }),
    model: (run) => scoreModel(run, codes, engine),
    about: async () => ({
      processor: `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} threads`,
      features: `the ${folder.config.hidden} hidden units of a classifier trained on the training images`,
      classifier: { ...(await classifierAccuracy(classifier, dataset, signal)) },
      real: { ...(await scoreReal(dataset, comparisons)) },
    }),
    dispose: () => classifier.dispose(),
  };
}

type Comparisons = Readonly<Record<HeldOut, HeldOutComparison>>;

async function comparisonsOf(classifier: ClassifierRunner, dataset: Dataset, engine: Engine): Promise<Comparisons> {
  const of = (split: HeldOut) => heldOutComparison(classifier, dataset, split, engine, signal);
  return { validation: await of("validation"), test: await of("test") };
}

/** Validation images against test images, which are what samples would be if they were real. */
async function scoreReal(dataset: Dataset, { test }: Comparisons) {
  const { frechetParts: _, ...scores } = await test.compare(
    "validation images",
    datasetImages(dataset, dataset.validation),
    signal,
  );
  return scores;
}

async function scoreSamples(
  dir: string,
  split: HeldOut,
  opened: { readonly classifier: ClassifierRunner; readonly comparisons: Comparisons; readonly dataset: Dataset },
): Promise<SampleScores> {
  const { classifier, comparisons, dataset } = opened;
  const samples = await openSamples(dir);
  const distances = await comparisons[split].compare(dir, await openImages(dir), signal);
  const following = await instructionFollowing(classifier, samples, dataset, signal);
  const { count, tokens, windowSize } = samples;
  const refinement = createRefinement({ tokens, windowSize });
  refinement.add((await samples.read(0, count)).trace);
  const { flipRate } = refinement.result();
  return {
    images: count,
    ...distances,
    ...(following.classAccuracy !== undefined && { classAccuracy: following.classAccuracy }),
    ...(flipRate !== undefined && { flipRate }),
  };
}

async function scoreModel(run: string, codes: Codes, engine: Engine): Promise<ModelScores> {
  const model = await loadModel(`${run}/best`);
  const conditions = await trainingConditions(model, `${run}/best`, codes);
  const [heldOutLoss, cross]: Record<string, number>[] = [{}, {}];
  for (const split of SPLITS) {
    const images = codes[split] ?? new Int32Array(0);
    const scores = await draftAblation(model, codes, conditions, engine, { images, seed: 0, signal });
    heldOutLoss![split] = scores.ownDrafts.crossEntropy[0]!;
    cross![split] = scores.cross;
  }
  const log = await readLog(run);
  const measured = log.filter((entry) => entry.heldOutLoss !== undefined);
  const best = measured.reduce((least, entry) => (entry.heldOutLoss! < least.heldOutLoss! ? entry : least));
  return {
    k: model.tensorar.windowSize,
    parameters: Object.values(model.tensors).reduce((sum, { data }) => sum + data.length, 0),
    steps: log.at(-1)!.step,
    bestStep: best.step,
    heldOutLoss: heldOutLoss!,
    cross: cross!,
  };
}
