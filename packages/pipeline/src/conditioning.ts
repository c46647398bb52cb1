import { quote, TensorARError } from "@tensorar/core";
import { type Caption, type Conditioning, captionFeatures, classLabels, promptTokens } from "@tensorar/sampler";
import type { AnyCondition, Conditions, Description } from "./opened";
import type { TextReader } from "./text";

/** What stands beside a condition in guidance, and what becomes of a batch of them. */
export function conditioningOf(conditions: Conditions): Conditioning<AnyCondition> {
  switch (conditions.kind) {
    case "class":
      return ofAny(classLabels(conditions.none));
    case "prompt":
      return ofAny(promptTokens(conditions.padId));
    case "caption":
      return ofAny(captionFeatures);
  }
}

/** The conditions that reach it are of its kind: `conditionsOf` makes them. */
const ofAny = <C>(conditioning: Conditioning<C>) => conditioning as Conditioning<unknown> as Conditioning<AnyCondition>;

/** What the images of one call show; given one, every image shows it, given several, they take turns. */
export interface Subject {
  /** Index or name of a class; by default all classes in turn. */
  readonly class?: number | string | readonly (number | string)[] | undefined;
  /** A description, for models of prompts, which also take its text tokens, and in Node for models of captions. */
  readonly prompt?: string | ArrayLike<number> | undefined;
  /** Features of a caption, for models of captions. */
  readonly caption?: Caption | undefined;
}

/** Conditions that take turns, and what of a text is not read as it stands. */
export interface ReadSubject {
  readonly conditions: readonly AnyCondition[];
  readonly notes: readonly string[];
}

/** @throws TensorARError when the subject is not what the model takes */
export async function conditionsOf(
  { conditions, classes }: Description,
  { class: wanted, prompt, caption }: Subject,
  texts: TextReader,
): Promise<ReadSubject> {
  const given = Object.entries({ class: wanted, prompt, caption }).filter(([, value]) => value !== undefined);
  const isText = (name: string) => name === "prompt" && conditions.kind === "caption" && caption === undefined;
  const other = given.find(([name]) => name !== conditions.kind && !isText(name));
  if (other) throw new TensorARError(`generate: this model takes a ${conditions.kind}, not a ${other[0]}`);
  if (conditions.kind === "class") {
    const all = Array.from({ length: conditions.count }, (_, i) => i);
    if (wanted === undefined) return { conditions: all, notes: [] };
    const list: readonly (number | string)[] = Array.isArray(wanted) ? wanted : [wanted as number | string];
    if (list.length === 0) throw new TensorARError("generate: no class is given; leave class out for all in turn");
    return { conditions: list.map((each) => classIndex(each, classes, conditions.count)), notes: [] };
  }
  if (conditions.kind === "prompt") {
    if (prompt === undefined) throw new TensorARError("generate: this model takes a prompt; give one");
    const { condition: tokens, notes } =
      typeof prompt === "string"
        ? await texts.tokens(prompt, conditions)
        : { condition: Array.from(prompt), notes: [] };
    const bad = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < conditions.below));
    if (bad === undefined && tokens.length > 0) return { conditions: [tokens], notes };
    const what = tokens.length === 0 ? "it has no tokens" : `token ${bad} is none of 0 … ${conditions.below - 1}`;
    throw new TensorARError(`generate: prompt ${quote(prompt)}: ${what}`);
  }
  const { positions, width } = conditions;
  if (typeof prompt === "string") {
    const { condition, notes } = await texts.caption(prompt, { maxLength: positions, width });
    return { conditions: [condition], notes };
  }
  if (caption?.mask?.length === positions && caption.features?.length === positions * width)
    return { conditions: [caption], notes: [] };
  throw new TensorARError(
    `generate: this model takes a caption of ${positions} positions with ${width} features each, ` +
      `${caption === undefined ? "and none is given" : `not ${caption.features?.length} features in ${caption.mask?.length}`}`,
  );
}

function classIndex(wanted: number | string, classes: readonly string[], count: number): number {
  const index = typeof wanted === "string" ? classes.indexOf(wanted) : wanted;
  if (Number.isInteger(index) && index >= 0 && index < count) return index;
  const names = classes.length > 0 ? `; its names are ${shortList(classes)}` : "";
  throw new TensorARError(`generate: class ${quote(wanted)} is unknown; this model has 0 … ${count - 1}${names}`);
}

const MOST_NAMES = 30;

const shortList = (names: readonly string[]): string =>
  names.slice(0, MOST_NAMES).join(", ") + (names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "");
