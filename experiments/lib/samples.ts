import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { readChecked, writeFileAtomic } from "@tensorar/core/node";
import { tensorar } from "./commands";
import type { DraftPlan, ExperimentPlan } from "./plan";
import { type SampleScores, type Scorer, sampleScores } from "./scorer";

/** How samples are drawn; drafts of models that have some. */
export interface Draw {
  readonly temperature: number;
  readonly scale: number;
  readonly drafts?: DraftPlan;
}

/** Where an experiment stands. */
export interface Bench {
  /** Folder of the data set, its tokenizer, models, samples and scores. */
  readonly dir: string;
  readonly plan: ExperimentPlan;
  readonly threads: number;
  readonly scorer: Scorer;
}

/** A trained model in its folder. */
export interface Trained {
  readonly name: string;
  readonly seed: number;
  /** k */
  readonly windowSize: number;
}

const nameOf = ({ temperature, scale, drafts }: Draw): string =>
  [`t${temperature}`, `s${scale}`, ...(drafts ? [drafts.drafts, `l${drafts.lambda}`] : [])].join("-");

export const runOf = (dir: string, { name, seed }: Pick<Trained, "name" | "seed">): string =>
  `${dir}/models/${name}-seed${seed}`;

const setOf = ({ name, seed }: Pick<Trained, "name" | "seed">, draw: Draw, split: "validation" | "test"): string =>
  `${name}-seed${seed}-${split}-${nameOf(draw)}`;

/** Folder of the samples that are compared with the test images. */
export const testSamples = (dir: string, model: Pick<Trained, "name" | "seed">, draw: Draw): string =>
  `${dir}/samples/${setOf(model, draw, "test")}`;

/** Draws samples of a split's classes and scores them, once: what was scored is read. Samples of validation are removed then. */
export async function drawn(
  { dir, plan, threads, scorer }: Bench,
  model: Trained,
  draw: Draw,
  split: "validation" | "test",
): Promise<SampleScores> {
  const what = setOf(model, draw, split);
  const scores = `${dir}/scores/${what}.json`;
  if (!existsSync(scores)) {
    const output = `${dir}/samples/${what}`;
    const labels = scorer.labels(split);
    const numImages = Math.max(LEAST, Math.round(plan.samplesPerImage[split] * labels.length));
    const step = Math.max(1, labels.length / numImages);
    const classes = labels.slice(0, numImages).map((_, i) => labels[Math.floor(i * step)]!);
    const { temperature, scale, drafts } = draw;
    if (!existsSync(`${output}/checksums.txt`))
      await tensorar("sample", {
        model: `${runOf(dir, model)}/best`,
        tokenizer: `${dir}/tokenizer`,
        output,
        classes,
        numImages,
        temperature,
        cfgScale: scale,
        ...(drafts && { drafts: drafts.drafts, leaveOneOut: drafts.lambda }),
        seed: model.seed,
        threads,
        noPng: true,
        ...(existsSync(`${output}/manifest.json`) && { resume: true }),
      });
    await writeFileAtomic(scores, `${JSON.stringify(await scorer.samples(output, split))}\n`);
    if (split === "validation") await rm(output, { recursive: true });
  }
  return readChecked(scores, sampleScores, "scores of samples");
}

/** Precision and recall need a few. */
const LEAST = 16;

/**
 * The temperature and guidance that come nearest to the validation images, by the same search for all models; with drafts, once for
 * each way to feed them back.
 */
export async function chosenDraws(bench: Bench, model: Trained): Promise<readonly Draw[]> {
  const { plan } = bench;
  const [first] = plan.drafts;
  const hasDrafts = model.windowSize > 1 && first !== undefined;
  const grid = plan.temperatures.flatMap((temperature) =>
    plan.scales.map((scale): Draw => ({ temperature, scale, ...(hasDrafts && { drafts: first }) })),
  );
  const best = await nearest(grid);
  if (!hasDrafts) return [best];
  return plan.drafts.map((drafts) => ({ ...best, drafts }));

  async function nearest(draws: readonly Draw[]): Promise<Draw> {
    let found: { draw: Draw; frechet: number } | undefined;
    for (const draw of draws) {
      const { frechet } = await drawn(bench, model, draw, "validation");
      if (!found || frechet < found.frechet) found = { draw, frechet };
    }
    return found!.draw;
  }
}
