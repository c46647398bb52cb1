import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tensorar, trained } from "./commands";
import type { ExperimentPlan, ModelPlan, Settings } from "./plan";
import type { ResultRow, Results } from "./rows";
import { type Bench, chosenDraws, drawn, runOf } from "./samples";
import { openScorer } from "./scorer";

export type Run = ModelPlan & { readonly seed: number };

/** Trainings, seed by seed, so that one seed of everything is there as early as can be. */
const runsOf = ({ models, seeds }: ExperimentPlan): Run[] =>
  Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    models.filter((model) => seed < (model.seeds ?? seeds)).map((model) => ({ ...model, seed })),
  );

/**
 * Data, tokenizer, codes, classifier, models, samples and scores of one data set, in a folder. What is there already is not done again,
 * so a run that was stopped goes on where it was.
 *
 * @returns rows of results, on test images, with settings chosen on validation images
 */
export async function runExperiment(dir: string, plan: ExperimentPlan, threads: number): Promise<Results[string]> {
  for (const part of ["models", "samples", "scores"]) await mkdir(`${dir}/${part}`, { recursive: true });
  await prepare(dir, plan, { threads });
  const scorer = await openScorer(dir, threads);
  const bench = { dir, plan, threads, scorer };
  try {
    const rows: ResultRow[] = [];
    for (const run of runsOf(plan)) {
      await trainModel(dir, run, threads);
      rows.push(...(await score(bench, run)));
    }
    return { about: await scorer.about(), rows };
  } finally {
    await scorer.dispose();
  }
}

async function prepare(dir: string, { data, tokenizer, classifier }: ExperimentPlan, threads: Settings): Promise<void> {
  const [images, ofTokenizer] = [`${dir}/data`, `${dir}/tokenizer-data`];
  if (!existsSync(`${images}/dataset.json`)) await tensorar("data", { ...data, output: images });
  const isSame = JSON.stringify(data) === JSON.stringify(tokenizer.data);
  if (!isSame && !existsSync(`${dir}/tokenizer/model.safetensors`) && !existsSync(`${ofTokenizer}/dataset.json`))
    await tensorar("data", { ...tokenizer.data, output: ofTokenizer });
  const own = { ...tokenizer.settings, ...threads, data: isSame ? images : ofTokenizer };
  await trained(`${dir}/tokenizer`, "tokenizer", own);
  if (!existsSync(`${dir}/codes/codes.json`))
    await tensorar("codes", { data: images, tokenizer: `${dir}/tokenizer`, output: `${dir}/codes`, ...threads });
  await trained(`${dir}/classifier`, "classifier", { ...classifier, ...threads, data: images });
}

const trainModel = (dir: string, run: Run, threads: number): Promise<void> =>
  trained(runOf(dir, run), run.command, {
    ...run.settings,
    ...(run.command === "finetune" && { base: `${runOf(dir, { name: "base", seed: run.seed })}/best` }),
    codes: `${dir}/codes`,
    seed: run.seed,
    threads,
  });

/** Rows of a trained model: its best way of drawing, chosen with the first seed, and where there are drafts each way to feed them back. */
export async function score(bench: Bench, run: Run): Promise<ResultRow[]> {
  const { dir, plan, scorer } = bench;
  const own = await scorer.model(runOf(dir, run));
  const trainedModel = { name: run.name, seed: run.seed, windowSize: own.k };
  const draws = await chosenDraws(bench, { ...trainedModel, seed: 0 });
  const rows: ResultRow[] = [];
  for (const draw of draws) {
    const scores = await drawn(bench, trainedModel, draw, "test");
    rows.push({
      dataset: plan.dataset,
      name: run.name,
      model: run.model,
      k: own.k,
      inputs: inputsOf(run.settings, own.k),
      drafts: draw.drafts?.drafts ?? "none",
      ...(draw.drafts && { lambda: draw.drafts.lambda }),
      temperature: draw.temperature,
      scale: draw.scale,
      seed: run.seed,
      parameters: own.parameters,
      steps: own.steps,
      bestStep: own.bestStep,
      split: "test",
      heldOutLoss: own.heldOutLoss.test!,
      cross: own.cross.test!,
      ...scores,
    });
  }
  return rows;
}

/** Training windows, in words. */
function inputsOf({ hidden, blank, noiseRates, noise }: Settings, k: number): string {
  if (k === 1) return "none";
  const rates = noiseRates === undefined ? `noise ${noise ?? "exponential"}` : `noise ${String(noiseRates)}`;
  return [rates, ...(hidden ? [`hidden ${hidden}`] : []), ...(blank ? [`blank ${blank}`] : [])].join(", ");
}
