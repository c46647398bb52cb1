import { existsSync } from "node:fs";
import { join } from "node:path";
import { TensorARError } from "@tensorar/core";
import type { Samples } from "@tensorar/data";
import { imageGrid, openDataset, toDataUri } from "@tensorar/data";
import type { ImageTokenizer } from "../image-tokenizer";
import { barChart, lineChart, type Series, smooth } from "./charts";
import { page, paragraph, picture, type Section, table } from "./page";
import { codesByDepth } from "./refinement-picture";
import type { Evaluation, RunFolder, SampleSet } from "./run-folder";
import { verdict } from "./verdict";

const SHOWN = 32;
const COLUMNS = 8;
const REFINED = 8;

type Evaluated = SampleSet & { readonly evaluation: Evaluation };

const NONE = "–";
const percent = (fraction: number | null): string => (fraction === null ? NONE : `${(100 * fraction).toFixed(0)} %`);
const decimals = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? NONE;

const evaluated = ({ sets }: RunFolder): Evaluated[] =>
  sets.filter((set): set is Evaluated => set.evaluation !== undefined);

/** The set that the others are compared with: the one of the model without windows. */
const baseSet = (sets: readonly Evaluated[]): Evaluated | undefined =>
  sets.find(({ samples }) => samples.windowSize === 1);

function verdictSection(run: RunFolder): Section[] {
  const sets = evaluated(run);
  const base = baseSet(sets);
  if (!base) return [];
  const outcomes = (of: readonly Evaluated[]) =>
    of.flatMap(({ name, evaluation: { frechet, frechetParts } }) =>
      frechet === undefined ? [] : [{ name, frechet, parts: frechetParts }],
    );
  const [first] = outcomes([base]);
  if (!first) return [];
  const lines = verdict(first, outcomes(sets.filter((set) => set !== base)));
  return [{ title: "What the comparison says", body: lines.map(paragraph).join("") }];
}

function metricsSection(run: RunFolder): Section[] {
  const sets = evaluated(run);
  if (sets.length === 0) return [];
  const rows = sets.map(({ name, samples, evaluation: { frechet, precision, recall, refinement } }) => {
    const { flipRate, draftAccuracy } = (samples.windowSize > 1 && refinement) || {};
    return [
      name,
      String(samples.count),
      decimals(frechet, 2),
      decimals(precision, 3),
      decimals(recall, 3),
      flipRate === undefined ? NONE : percent(flipRate),
      draftAccuracy?.map(percent).join(", ") ?? NONE,
    ];
  });
  const note =
    "Fréchet distance, precision and recall in the tokenizer's encoder features, pooled over the quarters of the grid, against the real images of `evaluate --reference`. It is not FID, which needs the Inception network. Flip rate: final token differs from its first draft. Draft accuracy: fraction of drafts equal to the final token, first draft first.";
  return [
    {
      title: "Metrics",
      body:
        table(
          ["samples", "images", "Fréchet ↓", "precision ↑", "recall ↑", "flip rate", "draft accuracy by depth"],
          rows,
        ) + paragraph(note),
    },
  ];
}

function draftAblationSection(run: RunFolder): Section[] {
  return evaluated(run).flatMap(({ name, evaluation: { draftAblation } }) => {
    if (!draftAblation || draftAblation.noisedTruth.crossEntropy.length === 1) return [];
    const kinds = [
      ["noised truth, as in training", draftAblation.noisedTruth],
      ["own drafts, as in generation", draftAblation.ownDrafts],
      ["drafts blanked", draftAblation.blanked],
    ] as const;
    const rows = kinds.map(([what, scores]) => [
      what,
      scores.crossEntropy[0]!.toFixed(3),
      scores.accuracy.map((fraction) => (fraction === null ? NONE : `${(100 * fraction).toFixed(1)} %`)).join(", "),
    ]);
    const trust = draftAblation.ownDrafts.crossEntropy[0]! - draftAblation.blanked.crossEntropy[0]!;
    const reading =
      trust > 0.01
        ? `Own drafts make the final token harder to predict by ${trust.toFixed(3)} nats than no drafts at all: the model trusts its drafts too much.`
        : `Own drafts cost the final token at most ${Math.max(0, trust).toFixed(3)} nats against no drafts at all.`;
    return [
      {
        title: `What ${name} makes of its input windows`,
        body:
          table(
            ["windows hold", "cross-entropy of the final token, nats", "accuracy by depth, final token first"],
            rows,
          ) + paragraph(`On held-out images. ${reading}${crossReading(draftAblation.cross)}`),
      },
    ];
  });
}

/** What drafts do for other tokens, which is all that refinement can work with. */
function crossReading(cross: number | undefined): string {
  if (cross === undefined) return "";
  const use =
    cross < 0.01
      ? "so drafts hardly inform other tokens, and refinement can't help it much"
      : "so drafts inform other tokens";
  return ` True views of other tokens make a token without any easier to predict by ${cross.toFixed(3)} nats, ${use}.`;
}

async function sampleSections(run: RunFolder): Promise<Section[]> {
  const figures: string[] = [];
  for (const { name, samples } of run.sets) {
    const size = samples.imageSize;
    const count = Math.min(SHOWN, samples.count);
    const png = await imageGrid((await samples.read(0, count)).images, {
      count,
      height: size,
      width: size,
      columns: COLUMNS,
      scale: 2,
    });
    figures.push(picture(toDataUri(png), name));
  }
  return [{ title: "Samples, the same classes and seed", body: figures.join("") }];
}

async function refinementSections(run: RunFolder, tokenizer: ImageTokenizer): Promise<Section[]> {
  const figures: string[] = [];
  for (const { name, samples } of run.sets) {
    const { windowSize: k, imageSize: size, tokens: T } = samples;
    if (k === 1) continue;
    const shown = Math.min(REFINED, samples.count);
    const { trace } = await samples.read(0, shown);
    expectCodes(name, samples, trace, tokenizer);
    const images = await tokenizer.decode(codesByDepth(trace, shown, T, k), size);
    const png = await imageGrid(images, { count: shown * k, height: size, width: size, columns: shown, scale: 3 });
    figures.push(picture(toDataUri(png), `${name}: first drafts (top) to final tokens (bottom)`));
  }
  return figures.length > 0 ? [{ title: "Refinement by depth", body: figures.join("") }] : [];
}

/** @throws TensorARError where the tokenizer is not the one of these samples */
function expectCodes(name: string, samples: Samples, trace: Int32Array, tokenizer: ImageTokenizer): void {
  const { grid, codebookSize } = tokenizer;
  const vocabSize = samples.vocabSize ?? trace.reduce((most, code) => Math.max(most, code), 0) + 1;
  const fits = samples.vocabSize === undefined ? vocabSize <= codebookSize : vocabSize === codebookSize;
  if (fits && grid[0] === samples.grid[0] && grid[1] === samples.grid[1]) return;
  throw new TensorARError(
    `samples/${name} are ${samples.grid.join(" × ")} codes out of ${vocabSize}, --tokenizer has ${grid.join(" × ")} out of ${codebookSize}; give the one that they were drawn with`,
  );
}

async function roundTripSection(runDir: string, tokenizer: ImageTokenizer): Promise<Section[]> {
  const dir = join(runDir, "data");
  if (!existsSync(dir)) return [];
  const dataset = await openDataset(dir);
  const step = Math.max(1, Math.floor(dataset.validation.length / 16));
  const rows = Array.from({ length: Math.min(16, dataset.validation.length) }, (_, i) => dataset.validation[i * step]!);
  const originals = await dataset.readImages(rows);
  const decoded = await tokenizer.decode(await tokenizer.encode(originals));
  const { size } = dataset.info;
  const both = new Uint8Array(originals.length + decoded.length);
  both.set(originals);
  both.set(decoded, originals.length);
  const png = await imageGrid(both, {
    count: rows.length * 2,
    height: size,
    width: size,
    columns: rows.length,
    scale: 2,
  });
  return [
    {
      title: "The tokenizer's round trip",
      body: picture(
        toDataUri(png),
        "held-out images (top) and what is left of them after encoding to codes and decoding (bottom)",
      ),
    },
  ];
}

function trainingSection({ logs }: RunFolder): Section[] {
  if (logs.length === 0) return [];
  const charts = logs.map(({ name, entries }) => {
    const curve = smooth(
      entries.map((entry) => [entry.step, entry.loss!] as const),
      100,
    );
    return `<figure>${lineChart("step", "loss", [{ name, points: curve }, ...heldOutCurves(entries)])}</figure>`;
  });
  return [{ title: "Training", body: charts.join("") }];
}

/** Losses on held-out images, and what drafts of other tokens give, where they were measured while training. */
function heldOutCurves(entries: RunFolder["logs"][number]["entries"]): Series[] {
  const curves = [
    ["held out", "heldOutLoss"],
    ["drafts of other tokens give", "heldOutCross"],
  ] as const;
  return curves.flatMap(([name, key]) => {
    const points = entries.flatMap((entry) => (entry[key] === undefined ? [] : [[entry.step, entry[key]] as const]));
    return points.length === 0 ? [] : [{ name, points }];
  });
}

function exportSection({ verification, timings }: RunFolder): Section[] {
  const sections: Section[] = [];
  if (verification.length > 0) {
    const rows = verification.map((row) => [
      row.file,
      row.output,
      String(row.batch),
      row.maxAbsError.toExponential(1),
      row.largestValue.toPrecision(3),
    ]);
    sections.push({
      title: "Export, compared with the eager model",
      body: table(["file", "output", "batch", "largest difference", "largest value"], rows),
    });
  }
  if (timings.length > 0) {
    const files = [...new Set(timings.map(({ file }) => file))];
    const batches = [...new Set(timings.map(({ batch }) => batch))];
    const series = batches.map((batch) => ({
      name: `batch ${batch}`,
      values: files.map(
        (file) => timings.find((row) => row.file === file && row.batch === batch)?.milliseconds ?? Number.NaN,
      ),
    }));
    sections.push({ title: "Timings of the exported graphs", body: barChart(files, "ms a run", series) });
  }
  return sections;
}

function promptsSection({ prompts }: RunFolder): Section[] {
  const texts = ["images with their prompts", "from first drafts to final tokens"];
  const figures = prompts.map((png, i) => picture(toDataUri(png), texts[i]!));
  return figures.length > 0 ? [{ title: "Prompts", body: figures.join("") }] : [];
}

function commandsSection({ commands }: RunFolder): Section[] {
  if (commands.length === 0) return [];
  return [
    {
      title: "How this page was made",
      body: table(
        ["command", "seconds"],
        commands.map(({ command, seconds }) => [command, seconds.toFixed(1)]),
      ),
    },
  ];
}

/** One page about a run, from what its commands wrote. @param tokenizer that its samples were drawn with */
export async function buildReport(run: RunFolder, tokenizer: ImageTokenizer): Promise<string> {
  return page(
    "TensorAR: a base model and its refining twin",
    "Images generated one token at a time, and by overlapping windows whose later steps revise earlier drafts.",
    [
      ...verdictSection(run),
      ...(await sampleSections(run)),
      ...(await refinementSections(run, tokenizer)),
      ...metricsSection(run),
      ...draftAblationSection(run),
      ...trainingSection(run),
      ...(await roundTripSection(run.dir, tokenizer)),
      ...exportSection(run),
      ...promptsSection(run),
      ...commandsSection(run),
    ],
  );
}
