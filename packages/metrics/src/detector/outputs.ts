import { TensorARError } from "@tensorar/core";
import { findOutput, isOpen, type RuntimeSession, type RuntimeTensor } from "../runtime/session";

/** Where a detector's outputs hold what. Boxes are in pixels of the network's input unless said otherwise. */
export type DetectorOutputs =
  /** torchvision: boxes [N, 4] (left, top, right, bottom), labels [N], scores [N]. */
  | { readonly kind: "boxes"; readonly boxes: string; readonly labels: string; readonly scores: string }
  /** mmdeploy: dets [1, N, 5], each a box and its score, and labels [1, N]; a label below 0 fills up. */
  | { readonly kind: "dets"; readonly dets: string; readonly labels: string }
  /**
   * DETR and its descendants: boxes [1, Q, 4] (center, width and height as fractions of the input) and logits. "softmax": logits
   * [1, Q, C + 1], of which the last is "no object", and each query is its likeliest class (DETR). "sigmoid": logits
   * [1, Q, C], of which the Q highest count, whatever their query (Deformable DETR, RT-DETR, D-FINE).
   */
  | {
      readonly kind: "queries";
      readonly logits: string;
      readonly boxes: string;
      readonly scores: "softmax" | "sigmoid";
    };

/** A box in pixels of the network's input. */
export interface RawDetection {
  readonly label: number;
  readonly score: number;
  /** Left, top, right, bottom. */
  readonly box: readonly [number, number, number, number];
}

const SCORE_TOLERANCE = 1e-3; // of networks that compute in float16

/** Names of the outputs to fetch. */
export function outputNames(outputs: DetectorOutputs): string[] {
  if (outputs.kind === "boxes") return [outputs.boxes, outputs.labels, outputs.scores];
  return outputs.kind === "dets" ? [outputs.dets, outputs.labels] : [outputs.logits, outputs.boxes];
}

/** Compares outputs with what is known of them before the first run. */
export function checkOutputs(where: string, session: RuntimeSession, outputs: DetectorOutputs, classes: number): void {
  const kinds = ["boxes", "dets", "queries"];
  if (!kinds.includes(outputs.kind))
    throw new TensorARError(`${where}: outputs of kind "${outputs.kind}" are unknown; use ${kinds.join(", ")}`);
  for (const name of outputNames(outputs)) findOutput(where, session, name);
  const expectWidth = (name: string, width: number, meaning: string) => {
    const { shape = [] } = findOutput(where, session, name);
    const last = shape.at(-1);
    if (isOpen(last) || last === width) return;
    throw new TensorARError(`${where}: output "${name}" is [${shape.join(", ")}]; ${meaning} ends in ${width}`);
  };
  if (outputs.kind === "dets") {
    expectWidth(outputs.dets, 5, "boxes with scores");
    return;
  }
  expectWidth(outputs.boxes, 4, "a list of boxes");
  if (outputs.kind === "boxes") return;
  const { logits, scores } = outputs;
  if (scores !== "softmax" && scores !== "sigmoid")
    throw new TensorARError(`${where}: scores "${scores}" are unknown; use "softmax" or "sigmoid"`);
  const meaning = `with ${classes} class names and scores "${scores}" it`;
  expectWidth(logits, scores === "softmax" ? classes + 1 : classes, meaning);
}

/** What a run found. @param size height and width of the network's input @throws TensorARError at what can't be meant */
export function readDetections(
  where: string,
  tensors: Readonly<Record<string, RuntimeTensor>>,
  outputs: DetectorOutputs,
  { classes, size }: { readonly classes: number; readonly size: readonly [number, number] },
): RawDetection[] {
  const rows = (name: string, width?: number) => rowsOf(where, name, tensors[name]!, width);
  const found = ((): RawDetection[] => {
    if (outputs.kind === "boxes") {
      const [boxes, labels, scores] = [rows(outputs.boxes, 4), rows(outputs.labels), rows(outputs.scores)];
      return labelled(where, outputs.labels, labels, scores, (i) => boxOf(boxes, 4 * i), boxes.length / 4);
    }
    if (outputs.kind === "dets") {
      const [dets, labels] = [rows(outputs.dets, 5), rows(outputs.labels)];
      const scores = Array.from({ length: dets.length / 5 }, (_, i) => dets[5 * i + 4]!);
      return labelled(where, outputs.labels, labels, scores, (i) => boxOf(dets, 5 * i), scores.length);
    }
    const { scores, logits } = outputs;
    const width = scores === "softmax" ? classes + 1 : classes;
    const boxes = rows(outputs.boxes, 4);
    const values = rows(logits, width);
    if (values.length / width !== boxes.length / 4)
      throw new TensorARError(
        `${where}: "${logits}" has ${values.length / width} queries, "${outputs.boxes}" ${boxes.length / 4}; name outputs that belong together`,
      );
    const picked = scores === "softmax" ? likeliest(values, width) : highest(values, width);
    return picked.map(({ query, ...rest }) => ({ ...rest, box: fromShares(boxOf(boxes, 4 * query), size) }));
  })();
  for (const [i, detection] of found.entries()) checkDetection(where, i, detection, classes, outputs);
  return found;
}

/** Rows of an output, without its axis of one image. */
function rowsOf(where: string, name: string, { dims, data }: RuntimeTensor, width?: number): number[] {
  const rank = width === undefined ? 1 : 2;
  const own = dims.length === rank + 1 && dims[0] === 1 ? dims.slice(1) : dims;
  if (own.length !== rank || (width !== undefined && own[1] !== width)) {
    const wanted = width === undefined ? "[N] or [1, N]" : `[N, ${width}] or [1, N, ${width}]`;
    throw new TensorARError(`${where}: output "${name}" is [${dims.join(", ")}], not ${wanted}; name another output`);
  }
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  const bad = values.findIndex(Number.isNaN);
  if (bad < 0) return values;
  throw new TensorARError(
    `${where}: output "${name}" holds NaN at ${bad}; check the model and what mean and std make of images`,
  );
}

function labelled(
  where: string,
  name: string,
  labels: readonly number[],
  scores: readonly number[],
  box: (i: number) => RawDetection["box"],
  count: number,
): RawDetection[] {
  if (labels.length !== count || scores.length !== count)
    throw new TensorARError(
      `${where}: ${count} boxes have ${labels.length} labels ("${name}") and ${scores.length} scores; name outputs that belong together`,
    );
  return labels.flatMap((label, i) => (label < 0 ? [] : [{ label, score: scores[i]!, box: box(i) }]));
}

const boxOf = (values: readonly number[], at: number): RawDetection["box"] => [
  values[at]!,
  values[at + 1]!,
  values[at + 2]!,
  values[at + 3]!,
];

/** From center and size in fractions of the input. */
function fromShares(
  [x, y, w, h]: RawDetection["box"],
  [height, width]: readonly [number, number],
): RawDetection["box"] {
  return [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height];
}

interface Pick {
  readonly query: number;
  readonly label: number;
  readonly score: number;
}

/** Of every query its likeliest class, leaving out "no object", the last. */
function likeliest(logits: readonly number[], width: number): Pick[] {
  return Array.from({ length: logits.length / width }, (_, query) => {
    const own = logits.slice(query * width, (query + 1) * width);
    const most = Math.max(...own);
    const exponentials = own.map((value) => Math.exp(value - most));
    const total = exponentials.reduce((sum, value) => sum + value, 0);
    const best = Math.max(...exponentials.slice(0, -1));
    return { query, label: Math.max(0, exponentials.indexOf(best)), score: best / total };
  });
}

/** As many pairs of query and class as there are queries, those of the highest logits. */
function highest(logits: readonly number[], width: number): Pick[] {
  return logits
    .map((value, at) => ({ at, score: 1 / (1 + Math.exp(-value)) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, logits.length / width)
    .map(({ at, score }) => ({ query: Math.floor(at / width), label: at % width, score }));
}

function checkDetection(
  where: string,
  i: number,
  { label, score, box }: RawDetection,
  classes: number,
  { kind }: DetectorOutputs,
): void {
  const place = `${where}: detection ${i}`;
  if (![...box, score].every(Number.isFinite))
    throw new TensorARError(
      `${place} has the score ${score} and the box [${box}]; check the model and its preprocessing`,
    );
  if (score < -SCORE_TOLERANCE || score > 1 + SCORE_TOLERANCE) {
    const remedy =
      kind === "queries" ? "check the model" : 'name the output of probabilities, or use the kind "queries"';
    throw new TensorARError(`${place} has the score ${score}, which is not in [0, 1]; ${remedy}`);
  }
  if (!Number.isInteger(label) || label >= classes)
    throw new TensorARError(
      `${place} has the label ${label}, but there are ${classes} class names, for 0 … ${classes - 1}; name every class that the detector knows`,
    );
}
