import type { Description } from "@tensorar/pipeline";
import type { DrawnStep } from "./engine/protocol";

// N images · T tokens · k window

/** No token yet. */
export const NONE = -1;

/** Images of one model on their way, or done: what each step drew. */
export interface Run {
  readonly id: number;
  readonly description: Description;
  /** N */
  readonly images: number;
  /** Step s made token s final; at most T. */
  readonly steps: readonly DrawnStep[];
  readonly notes: readonly string[];
}

/** How certain a token is after a step. */
export type TokenState = "final" | "draft" | "none";

/** One guess of a token. */
export interface Draft {
  /** 0 for the first draft … k-1 for the final token. */
  readonly depth: number;
  /** When it was drawn. */
  readonly step: number;
  readonly code: number;
  readonly probability: number;
}

/** Every guess that there is of a token after a step, first to newest. */
export function draftsOf({ steps, description }: Run, image: number, position: number, step: number): Draft[] {
  const { windowSize: k } = description;
  const drafts: Draft[] = [];
  for (let entry = Math.min(k - 1, position); entry >= 0; entry--) {
    const at = position - entry;
    const drawn = steps[at];
    if (at > step || !drawn) break;
    const index = image * k + entry;
    drafts.push({
      depth: k - 1 - entry,
      step: at,
      code: drawn.codes[index]!,
      probability: drawn.probabilities[index]!,
    });
  }
  return drafts;
}

/**
 * The codes after a step, as they were at a depth of refinement: [T], NONE where there is no token yet.
 * @param depth 0 for first drafts … k-1 for the newest; tokens that had no draft so early show their first one
 */
export function codesAt(run: Run, image: number, step: number, depth: number): Int32Array {
  const { tokens: T, windowSize: k } = run.description;
  const codes = new Int32Array(T).fill(NONE);
  for (let position = 0; position < T; position++) {
    const newest = Math.max(0, position - step);
    const entry = Math.max(newest, Math.min(k - 1 - depth, position));
    const drawn = run.steps[position - entry];
    if (entry < k && drawn) codes[position] = drawn.codes[image * k + entry]!;
  }
  return codes;
}

/** @param step the last that counts */
export function stateOf({ description }: Run, position: number, step: number): TokenState {
  if (position <= step) return "final";
  return position < step + description.windowSize ? "draft" : "none";
}

/** Steps since a token's newest code replaced another one; undefined where none has within `most` steps. */
export function flipAge(run: Run, image: number, position: number, step: number, most: number): number | undefined {
  const drafts = draftsOf(run, image, position, step);
  for (let i = drafts.length - 1; i > 0; i--) {
    const age = step - drafts[i]!.step;
    if (age > most) return undefined;
    if (drafts[i]!.code !== drafts[i - 1]!.code) return age;
  }
  return undefined;
}

/** Of the tokens that are final after a step, how many had drafts, and how many of those are not their first draft. */
export function changedTokens(
  run: Run,
  image: number,
  step: number,
): { readonly of: number; readonly changed: number } {
  const last = Math.min(step, run.description.tokens - 1);
  let [of, changed] = [0, 0];
  for (let position = 1; position <= last && run.description.windowSize > 1; position++) {
    const drafts = draftsOf(run, image, position, step);
    of++;
    if (drafts[0]?.code !== drafts.at(-1)?.code) changed++;
  }
  return { of, changed };
}
