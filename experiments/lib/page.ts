import { estimate } from "@tensorar/metrics";
import { markdownTable } from "markdown-table";
import type { ResultRow, Results } from "./rows";
import { verdictOf } from "./verdict";

const NONE = "–";

/** Mean and standard error over seeds, as text. */
function over(rows: readonly ResultRow[], key: keyof ResultRow, digits: number): string {
  const values = rows.flatMap((row) => (typeof row[key] === "number" ? [row[key]] : []));
  if (values.length === 0) return NONE;
  const { mean, standardError } = estimate(values);
  return standardError === undefined
    ? mean.toFixed(digits)
    : `${mean.toFixed(digits)} ± ${standardError.toFixed(digits)}`;
}

/** Rows that differ in their seed alone, in the order of their first. */
function groupsOf(rows: readonly ResultRow[]): ResultRow[][] {
  const groups = new Map<string, ResultRow[]>();
  for (const row of rows) {
    const key = [row.name, row.drafts, row.lambda].join();
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

const draftsOf = ({ drafts, lambda }: ResultRow): string =>
  lambda === undefined ? drafts : `${drafts}, λ = ${lambda}`;

function lossTable(rows: readonly ResultRow[]): string {
  const named = new Map<string, ResultRow[]>();
  for (const row of rows) {
    const own = named.get(row.name) ?? [];
    if (!own.some(({ seed }) => seed === row.seed)) named.set(row.name, [...own, row]);
  }
  return markdownTable([
    ["model", "parameters", "training windows", "seeds", "best step", "held-out loss, nats", "cross, nats"],
    ...[...named].map(([name, own]) => [
      name,
      `${(own[0]!.parameters / 1e6).toFixed(2)} M`,
      own[0]!.inputs,
      String(own.length),
      own.map(({ bestStep }) => bestStep).join(", "),
      over(own, "heldOutLoss", 3),
      own[0]!.k > 1 ? over(own, "cross", 3) : NONE,
    ]),
  ]);
}

function sampleTable(rows: readonly ResultRow[], real: Readonly<Record<string, number>>): string {
  const number = (key: string, digits: number) => real[key]?.toFixed(digits) ?? NONE;
  return markdownTable([
    [
      ...["model", "drafts", "temperature", "guidance", "seeds", "Fréchet ↓", "precision ↑", "recall ↑", "density ↑"],
      ...["coverage ↑", "in their class ↑", "memorised ↓", "flips"],
    ],
    [
      ...["real images", NONE, NONE, NONE, NONE, number("frechet", 2), number("precision", 3), number("recall", 3)],
      ...[number("density", 3), number("coverage", 3), NONE, number("memorised", 3), NONE],
    ],
    ...groupsOf(rows).map((own) => [
      own[0]!.name,
      draftsOf(own[0]!),
      String(own[0]!.temperature),
      String(own[0]!.scale),
      String(own.length),
      over(own, "frechet", 2),
      over(own, "precision", 3),
      over(own, "recall", 3),
      over(own, "density", 3),
      over(own, "coverage", 3),
      over(own, "classAccuracy", 3),
      over(own, "memorised", 3),
      over(own, "flipRate", 2),
    ]),
  ]);
}

/** What each refining model does against the control of the same seeds, in words: its predictions, and its samples for each way of drafts. */
function verdicts(rows: readonly ResultRow[]): string[] {
  const controls = rows.filter(({ model }) => model === "control");
  const against = (own: readonly ResultRow[], key: "heldOutLoss" | "frechet") => {
    const differences = own.flatMap((row) => {
      const control = controls.find(({ seed }) => seed === row.seed);
      return control ? [row[key] - control[key]] : [];
    });
    return differences.length === 0 ? "no control yet" : `${verdictOf(differences)} (${differenceText(differences)})`;
  };
  const refining = groupsOf(rows).filter(([first]) => first!.model === "tensorar");
  return refining.flatMap((own, i) => {
    const { name } = own[0]!;
    const isFirst = refining.findIndex(([first]) => first!.name === name) === i;
    return [
      ...(isFirst ? [`- ${name}, held-out loss: ${against(own, "heldOutLoss")}.`] : []),
      `- ${name}, drafts ${draftsOf(own[0]!)}, Fréchet distance: ${against(own, "frechet")}.`,
    ];
  });
}

function differenceText(values: readonly number[]): string {
  const { mean, standardError } = estimate(values);
  const sign = mean < 0 ? "−" : "+";
  const size = `${sign}${Math.abs(mean).toFixed(3)}`;
  return standardError === undefined
    ? `${size}, one seed`
    : `${size} ± ${standardError.toFixed(3)}, ${values.length} seeds`;
}

function section(dataset: string, { about, rows }: Results[string]): string {
  const accuracies = Object.entries(about.classifier)
    .filter(([name]) => name.startsWith("unseen") && name.endsWith("Accuracy"))
    .map(([name, value]) => `${name.replace(/^unseen|Accuracy$/g, "").toLowerCase()} ${(100 * value).toFixed(1)} %`);
  const images = rows[0]?.images ?? 0;
  return `## ${dataset}

Features: ${about.features}. The classifier is right on unseen images: ${accuracies.join(", ")}.
${images} samples a row are compared with the test images. Processor: ${about.processor}.

### What the models know

Cross-entropy of the final token on test images: own drafts, no evidence. \`cross\` is what true views of other tokens
give to tokens that have none; where it is near 0, refinement has nothing to work with.

${lossTable(rows)}

### What they draw

${sampleTable(rows, about.real)}

![Samples of each row of the table above, from top to bottom, of the same classes](results-${dataset}.png)

### Against the control

The control is the same base, trained on without windows for as many steps as the fine-tuned models; those from scratch have the settings
of the base. Each is taken at its best step. A difference counts beyond two standard errors; fewer than three seeds leave it undecided.

${verdicts(rows).join("\n")}
`;
}

/** The page of results. */
export const resultsPage = (results: Results): string => `# Results

Made by \`npm run experiment\` from [results.json](results.json). Validation images chose the steps, the temperature and the guidance, with the
first seed and in the same way for all models. The tables hold test images, which were used once: means ± standard errors over seeds of
training and sampling.

${Object.entries(results)
  .map(([dataset, own]) => section(dataset, own))
  .join("\n")}`;
