import { TensorARError } from "@tensorar/core";
import type { GenEvalPrompt, GenEvalTask, Position } from "./prompts";

/** An object that a detector found. */
export interface Detection {
  readonly class: string;
  /** Left, top, right and bottom, in pixels from the upper left corner. */
  readonly box: readonly [number, number, number, number];
  /** Confidence in [0, 1]. */
  readonly score: number;
}

/** Colours of objects of one class in an image, such as those that a CLIP-like network finds likeliest; one name each. */
export type ColorsOf = (objects: readonly Detection[], className: string) => Promise<readonly string[]>;

/** Whether an image shows what its prompt asks for, and what is wrong. */
export interface GenEvalResult {
  readonly tag: GenEvalTask;
  readonly correct: boolean;
  /** What is missing or wrong; empty when correct. */
  readonly reasons: readonly string[];
}

/** What the original's script is run with. */
const CONFIDENCE = 0.3;
const COUNTING_CONFIDENCE = 0.9;
const MOST_OBJECTS = 16;
const POSITION_SLACK = 0.1;

/** The score above which detections count in images of a task. */
export const genEvalConfidence = (task: GenEvalTask): number =>
  task === "counting" ? COUNTING_CONFIDENCE : CONFIDENCE;

/**
 * Whether an image shows what its prompt says. Source: Ghosh et al. 2023; `evaluate` and `evaluate_image` of
 * `evaluation/evaluate_images.py` of djghosh13/geneval, with its default thresholds: detections above 0.3, for counting 0.9,
 * at most 16 of a class. As there, colour and position concern the most confident objects, as many as are asked for.
 *
 * @throws TensorARError for detections that are not finite, and colours that are not one for each object
 */
export async function scoreGenEval(
  prompt: GenEvalPrompt,
  detections: readonly Detection[],
  colorsOf: ColorsOf,
): Promise<GenEvalResult> {
  const objects = keptByClass(detections, genEvalConfidence(prompt.tag));
  const reasons: string[] = [];
  const groups: (readonly Detection[] | undefined)[] = []; // what met each requirement
  for (const { class: name, count, color, position } of prompt.include) {
    const found = (objects.get(name) ?? []).slice(0, count);
    const failures: string[] = [];
    if (found.length < count) failures.push(`expected ${count} ${name}, found ${found.length}`);
    else {
      if (color !== undefined) failures.push(...(await wrongColors(found, name, color, colorsOf)));
      if (position !== undefined && failures.length === 0) failures.push(...misplaced(found, name, position, groups));
    }
    reasons.push(...failures);
    groups.push(failures.length === 0 ? found : undefined);
  }
  for (const { class: name, count } of prompt.exclude) {
    const found = objects.get(name)?.length ?? 0;
    if (found >= count) reasons.push(`expected fewer than ${count} ${name}, found ${found}`);
  }
  return { tag: prompt.tag, correct: reasons.length === 0, reasons };
}

/** Confident detections of each class, the most confident first. */
function keptByClass(detections: readonly Detection[], confidence: number): Map<string, Detection[]> {
  const kept = new Map<string, Detection[]>();
  for (const [i, { box, score }] of detections.entries()) {
    if ([...box, score].every(Number.isFinite)) continue;
    throw new TensorARError(`scoreGenEval: detection ${i} has the box [${box}] and score ${score}; check the detector`);
  }
  for (const detection of [...detections].sort((a, b) => b.score - a.score)) {
    if (detection.score <= confidence) continue;
    const ofClass = kept.get(detection.class) ?? [];
    if (ofClass.length < MOST_OBJECTS) kept.set(detection.class, [...ofClass, detection]);
  }
  return kept;
}

async function wrongColors(
  found: readonly Detection[],
  name: string,
  color: string,
  colorsOf: ColorsOf,
): Promise<string[]> {
  const colors = await colorsOf(found, name);
  if (colors.length !== found.length)
    throw new TensorARError(`scoreGenEval: ${colors.length} colours for ${found.length} objects; give one each`);
  const right = colors.filter((each) => each === color).length;
  return right === found.length ? [] : [`expected ${found.length} ${color} ${name}, found ${colors.join(", ")}`];
}

function misplaced(
  found: readonly Detection[],
  name: string,
  [relation, target]: readonly [Position, number],
  groups: readonly (readonly Detection[] | undefined)[],
): string[] {
  const others = groups[target];
  if (!others) return [`there is nothing for ${name} to be ${relation}`];
  for (const object of found)
    for (const other of others) {
      const relations = relativePosition(object, other);
      if (!relations.includes(relation))
        return [`expected ${name} ${relation} its target, found ${relations.join(" and ") || "neither side"}`];
    }
  return [];
}

/**
 * Where `a` lies, seen from `b`: along an axis only as far as the centers are apart by more than a tenth of both sizes, and
 * then only if that is most of the way between them. Both of two relations hold near a diagonal.
 */
export function relativePosition(a: Detection, b: Detection): Position[] {
  const along = (axis: 0 | 1) => {
    const [lowA, highA, lowB, highB] = [a.box[axis], a.box[axis + 2]!, b.box[axis], b.box[axis + 2]!];
    const offset = (lowA + highA) / 2 - (lowB + highB) / 2;
    const slack = POSITION_SLACK * (Math.abs(highA - lowA) + Math.abs(highB - lowB));
    return { offset, revised: Math.max(Math.abs(offset) - slack, 0) * Math.sign(offset) };
  };
  const [x, y] = [along(0), along(1)];
  if (Math.abs(x.revised) < 1e-3 && Math.abs(y.revised) < 1e-3) return [];
  const distance = Math.hypot(x.offset, y.offset);
  const [dx, dy] = [x.revised / distance, y.revised / distance];
  const relations: Position[] = [];
  if (dx < -0.5) relations.push("left of");
  if (dx > 0.5) relations.push("right of");
  if (dy < -0.5) relations.push("above");
  if (dy > 0.5) relations.push("below");
  return relations;
}
