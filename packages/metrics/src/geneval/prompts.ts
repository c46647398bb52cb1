import { parseJson, quote, splitLines, TensorARError } from "@tensorar/core";

/** The six tasks, as prompts are tagged. */
export const GENEVAL_TASKS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"] as const;

/** GenEval's six tasks. */
export type GenEvalTask = (typeof GENEVAL_TASKS)[number];

export const POSITIONS = ["left of", "right of", "above", "below"] as const;

export type Position = (typeof POSITIONS)[number];

/** Objects that an image must show. */
export interface Requirement {
  readonly class: string;
  readonly count: number;
  readonly color?: string;
  /** Where it lies, seen from the objects of an earlier requirement, by its index. */
  readonly position?: readonly [Position, number];
}

/** A line of `evaluation_metadata.jsonl`. */
export interface GenEvalPrompt {
  readonly tag: GenEvalTask;
  readonly prompt: string;
  /** All of these must be there. */
  readonly include: readonly Requirement[];
  /** None of these may be: as many or more of a class. */
  readonly exclude: readonly { readonly class: string; readonly count: number }[];
}

/**
 * Prompts of GenEval, one JSON object a line. Source: Ghosh et al. 2023; `prompts/evaluation_metadata.jsonl` of
 * djghosh13/geneval.
 *
 * @param where the file's name, for messages
 * @throws TensorARError naming the line and what is wrong with it
 */
export function parseGenEval(text: string, where = "evaluation_metadata.jsonl"): GenEvalPrompt[] {
  return splitLines(text).flatMap((line, i) =>
    line.trim() === "" ? [] : [parseLine(line, `${where}, line ${i + 1}`)],
  );
}

function parseLine(line: string, where: string): GenEvalPrompt {
  const refuse = (what: string): never => {
    throw new TensorARError(`${where}: ${what}`);
  };
  const parsed = parseJson(line, where);
  if (typeof parsed !== "object" || parsed === null) refuse(`${quote(parsed)} is no prompt; write one object a line`);
  const { tag, prompt, include = [], exclude = [] } = parsed as Record<string, unknown>;
  if (!GENEVAL_TASKS.includes(tag as GenEvalTask))
    refuse(`tag ${quote(tag)} is unknown; use ${GENEVAL_TASKS.join(", ")}`);
  if (typeof prompt !== "string" || prompt === "") refuse("there is no prompt");
  if (!Array.isArray(include) || !Array.isArray(exclude)) refuse("include and exclude are lists of objects");
  const checkObject = (each: unknown) => {
    const { class: name, count } = (each ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || !Number.isInteger(count) || (count as number) < 1)
      refuse(`${quote(each)} is no requirement; it has a class and a count of 1 or more`);
  };
  for (const [index, each] of (include as Requirement[]).entries()) {
    checkObject(each);
    const { color, position } = each;
    if (color !== undefined && typeof color !== "string") refuse(`color ${quote(color)} is no name`);
    if (position === undefined) continue;
    const [relation, target] = (Array.isArray(position) ? position : []) as [Position, number];
    const earlier = Number.isInteger(target) && target >= 0 && target < index;
    if (!POSITIONS.includes(relation) || !earlier)
      refuse(`position ${quote(position)}: give one of ${POSITIONS.join(", ")} and the index of an earlier object`);
  }
  for (const each of exclude as unknown[]) checkObject(each);
  return { tag, prompt, include, exclude } as GenEvalPrompt;
}
