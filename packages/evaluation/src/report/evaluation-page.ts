import { imageGrid } from "@tensorar/data";
import type { RefinementStatistics } from "@tensorar/metrics";
import type { InceptionMetrics } from "../statistics/compare";
import { barChart } from "./charts";
import { page, paragraph, picture, type Section, table } from "./page";
import { revisionMap } from "./revision-map";

/** A few images of one size. */
export interface Shown {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

/** What a page of an evaluation shows. */
export interface EvaluationResults {
  readonly inception?: InceptionMetrics;
  readonly tokenizerFeatures?: Readonly<Record<string, number>>;
  /** Against held-out images, with the fraction of copies. */
  readonly classifierFeatures?: Readonly<Record<string, number>>;
  readonly refinement?: RefinementStatistics & { readonly grid: readonly [number, number] };
  /** Counts of images and fractions of them that show what they were asked for. */
  readonly following?: Readonly<Record<string, number>>;
}

/** Metrics as rows of name, value and what is better. */
export function metricRows({
  inception,
  tokenizerFeatures,
  classifierFeatures,
  following = {},
}: EvaluationResults): string[][] {
  const rows: [string, number | undefined, string][] = [];
  if (inception) {
    const { fid, sfid, inceptionScore, kid, precision, recall, density, coverage } = inception;
    rows.push(["FID", fid, "lower"], ["sFID", sfid, "lower"], ["Inception Score", inceptionScore, "higher"]);
    rows.push(["KID x 1000", kid && 1000 * kid.mean, "lower"], ["Precision", precision, "higher"]);
    rows.push(["Recall", recall, "higher"], ["Density", density, "higher"], ["Coverage", coverage, "higher"]);
  }
  for (const [whose, features] of Object.entries({ tokenizer: tokenizerFeatures, classifier: classifierFeatures })) {
    if (!features) continue;
    const { frechet, precision, recall, density, coverage, memorised } = features;
    rows.push([`Fréchet distance of ${whose} features (not FID)`, frechet, "lower"]);
    rows.push(["Precision in them", precision, "higher"], ["Recall in them", recall, "higher"]);
    rows.push(["Density in them", density, "higher"], ["Coverage in them", coverage, "higher"]);
    rows.push(["Nearer to a training image than new ones are", memorised, "lower"]);
  }
  for (const [name, value] of Object.entries(following))
    rows.push([name, value, /images$/i.test(name) ? "number" : "higher"]);
  return rows.flatMap(([name, value, better]) =>
    value === undefined
      ? []
      : [[name, better === "number" ? String(value) : format(value), better === "number" ? "" : `${better} is better`]],
  );
}

const format = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(1) : value.toPrecision(4));

/** The page of one evaluation: metrics, what they rest on, images of both sets, and what refinement did. */
export async function evaluationPage(
  title: string,
  results: EvaluationResults,
  shown: Readonly<Record<string, Shown | undefined>>,
): Promise<string> {
  const { inception, refinement } = results;
  const sections: Section[] = [{ title: "Metrics", body: table(["measure", "value", ""], metricRows(results)) }];
  if (inception && inception.warnings.length > 0)
    sections.push({ title: "To bear in mind", body: inception.warnings.map(paragraph).join("") });
  const pictures: string[] = [];
  for (const [name, images] of Object.entries(shown)) {
    if (!images) continue;
    const png = await imageGrid(images.pixels, { ...images, scale: images.width < 64 ? 2 : 1 });
    pictures.push(picture(`data:image/png;base64,${png.toString("base64")}`, `${name}, the first ${images.count}`));
  }
  if (pictures.length > 0) sections.push({ title: "Images", body: pictures.join("") });
  if (refinement) {
    const { flipRate, draftAccuracy, entropy, revisions, grid } = refinement;
    const depths = draftAccuracy.map((_, depth) => `depth ${depth}`);
    const map = await revisionMap(revisions, grid);
    const flipped =
      flipRate === undefined
        ? "No position has a draft before the final code."
        : `${(100 * flipRate).toFixed(1)} % of positions end as another code than their first draft.`;
    sections.push({
      title: "Refinement",
      body: [
        paragraph(`${flipped} Depth 0 is the first draft, the last depth the final code.`),
        barChart(depths, "fraction", [{ name: "drafts that equal the final code", values: draftAccuracy }]),
        barChart(depths, "nats", [{ name: "entropy of the codes drawn", values: entropy }]),
        picture(
          `data:image/png;base64,${map.toString("base64")}`,
          "where on the grid codes are revised: white never, red always",
        ),
      ].join(""),
    });
  }
  return page(title, "Metrics follow the evaluation suite of openai/guided-diffusion where it has them.", sections);
}
