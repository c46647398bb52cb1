import { toDataUri } from "@tensorar/data";
import { GENEVAL_TASKS, type GenEvalTask, genEvalConfidence } from "@tensorar/metrics";
import sharp from "sharp";
import type { PromptedImage } from "../geneval/images";
import type { FoundObject, GenEvalReport, ImageResult } from "../geneval/results";
import { escapeHtml, page, paragraph, type Section, table } from "./page";

/** The paper's names of the columns, in its order. */
const COLUMNS: Readonly<Record<GenEvalTask | "overall", string>> = {
  overall: "Overall",
  single_object: "Single object",
  two_object: "Two objects",
  counting: "Counting",
  colors: "Colors",
  position: "Position",
  color_attr: "Color attribution",
};

const NONE = "–";
const shown = (score: number | null): string => (score === null ? NONE : score.toFixed(2));

/** Head and rows of the table. */
function cells({ scores, counts, images }: GenEvalReport): { head: string[]; rows: string[][] } {
  const names = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];
  const correct = images.filter((image) => image.correct).length;
  const countOf = (name: keyof typeof COLUMNS) =>
    name === "overall" ? `${correct}/${images.length}` : `${counts[name].correct}/${counts[name].images}`;
  return {
    head: ["", ...names.map((name) => COLUMNS[name])],
    rows: [
      ["score", ...names.map((name) => shown(scores[name]))],
      ["correct", ...names.map(countOf)],
    ],
  };
}

/** What should be known about the numbers. */
function notesOf({ scores, counts, prompts, correctPrompts }: GenEvalReport): string[] {
  const without = GENEVAL_TASKS.filter((task) => counts[task].images === 0).map((task) => COLUMNS[task]);
  return [
    `${correctPrompts} of ${prompts} prompts have a correct image.`,
    ...(scores.overall === null
      ? [`Overall is the mean over all six tasks; there are no images of: ${without.join(", ")}.`]
      : []),
  ];
}

/** The paper's seven columns as text. */
export function genEvalTable(report: GenEvalReport): string {
  const { head, rows } = cells(report);
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return [...[head, ...rows].map(line), ...notesOf(report)].join("\n");
}

/** So many of each task are shown. */
const [FAILURES, PASSES] = [12, 4];
const WIDTH = 320;

/** The page of one evaluation: scores, and of each task images that failed and that passed, with the boxes that were found. */
export async function genEvalPage(report: GenEvalReport, images: readonly PromptedImage[]): Promise<string> {
  const { head, rows } = cells(report);
  const sections: Section[] = [{ title: "Scores", body: table(head, rows) + notesOf(report).map(paragraph).join("") }];
  const byName = new Map(images.map((image) => [image.name, image]));
  for (const task of GENEVAL_TASKS) {
    const results = report.images.filter(({ tag }) => tag === task);
    if (results.length === 0) continue;
    const failures = results.filter(({ correct }) => !correct);
    const chosen = [
      ...spread(failures, FAILURES),
      ...spread(
        results.filter(({ correct }) => correct),
        PASSES,
      ),
    ];
    const figures: string[] = [];
    for (const result of chosen) figures.push(await figure(result, byName.get(result.image)));
    const unsure = task === "counting" ? "; dashed ones are less sure and do not count" : "";
    const share = `${failures.length} of ${results.length} images fail; ${chosen.length} are shown, failures first. Boxes are what was found with a score above ${genEvalConfidence(task)}${unsure}.`;
    sections.push({ title: COLUMNS[task], body: paragraph(share) + figures.join("") });
  }
  const lead = "Whether images show what their prompts name, as a detector sees it (Ghosh et al. 2023).";
  return page("GenEval", lead, sections);
}

/** At most so many, spread over all. */
const spread = <T>(all: readonly T[], most: number): T[] =>
  all.length <= most ? [...all] : Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]!);

const [PASS, FAIL] = ["#1a7f37", "#c62828"];

/** An image with its boxes, or only its verdict where the image is not at hand. */
async function figure(result: ImageResult, image: PromptedImage | undefined): Promise<string> {
  const { correct, prompt, reasons, image: name } = result;
  const color = correct ? PASS : FAIL;
  const verdict = `<b style="color:${color}">${correct ? "✓ correct" : "✗ wrong"}</b> ${escapeHtml(prompt)}`;
  const why = reasons.map((reason) => `<br>${escapeHtml(reason)}`).join("");
  const picture = image ? await drawing(result, image) : "";
  const caption = `<figcaption style="max-width:${WIDTH}px">${verdict}${why}<br><small>${escapeHtml(name)}</small></figcaption>`;
  return `<figure style="border-top:3px solid ${color};padding-top:4px">${picture}${caption}</figure>`;
}

async function drawing({ objects, tag, prompt }: ImageResult, image: PromptedImage): Promise<string> {
  const { data, height, width } = await image.load();
  const raw = sharp(data, { raw: { height, width, channels: 3 } });
  const jpeg = await raw
    .resize(Math.min(width, 2 * WIDTH))
    .jpeg({ quality: 85 })
    .toBuffer();
  const uri = toDataUri(jpeg).replace("image/png", "image/jpeg");
  const boxes = objects.map((object) => boxOf(object, object.score > genEvalConfidence(tag), width)).join("");
  return (
    `<svg width="${WIDTH}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(prompt)}">` +
    `<image href="${uri}" width="${width}" height="${height}"/>${boxes}</svg>`
  );
}

const PALETTE = ["#e6194b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#000075", "#808000"];

/** One hue a class, whatever else is in the image. */
const hueOf = (name: string): string =>
  PALETTE[[...name].reduce((sum, character) => sum + character.charCodeAt(0), 0) % PALETTE.length]!;

function boxOf({ class: name, box, score, color }: FoundObject, counts: boolean, width: number): string {
  const [left, top, right, bottom] = box;
  const unit = width / WIDTH; // a pixel on the page
  const hue = hueOf(name);
  const label = `${color ? `${color} ` : ""}${name} ${score.toFixed(2)}`;
  const dashes = counts ? "" : ` stroke-dasharray="${4 * unit}"`;
  const y = Math.max(top, 12 * unit);
  const number = (value: number) => value.toFixed(1);
  return (
    `<rect x="${number(left)}" y="${number(top)}" width="${number(right - left)}" height="${number(bottom - top)}" fill="none" stroke="${hue}" stroke-width="${2 * unit}"${dashes}/>` +
    `<text x="${number(left + 2 * unit)}" y="${number(y - 3 * unit)}" font-size="${11 * unit}" font-weight="bold" fill="${hue}" stroke="white" stroke-width="${3 * unit}" paint-order="stroke">${escapeHtml(label)}</text>`
  );
}
