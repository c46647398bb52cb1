import { quote, TensorARError } from "@tensorar/core";
import { readLines } from "@tensorar/data";
import type { LoadedModel } from "@tensorar/model";
import { type Caption, type Conditioning, captionFeatures, classLabels, promptTokens } from "@tensorar/sampler";
import { loadCaptions, openPromptTokenizer, padIdOf } from "@tensorar/training";

/** What the command line says about conditions. */
export interface ConditionSettings {
  readonly count: number;
  readonly classes: readonly string[];
  readonly prompt?: string | undefined;
  readonly prompts?: string | undefined;
  readonly captions?: string | undefined;
}

/** A class, a caption or a tokenized prompt. */
export type AnyCondition = number | Caption | ArrayLike<number>;

/** Conditions of the images to generate, all of one kind. */
export interface SamplingConditions {
  readonly conditioning: Conditioning<AnyCondition>;
  /** [count] */
  readonly conditions: readonly AnyCondition[];
  /** Index into `names` of every image, [count]. */
  readonly labels: Int32Array;
  /** Classes or texts. */
  readonly names: readonly string[];
}

/**
 * Classes, prompts or captions in turn, whatever the model takes.
 * @throws TensorARError when the settings are for another kind of model, or name what there is not
 */
export async function samplingConditions(
  model: LoadedModel,
  modelDir: string,
  settings: ConditionSettings,
): Promise<SamplingConditions> {
  const { condition, nullCondition } = model.model.backbone;
  const { count, classes, prompt, prompts, captions } = settings;
  const given = { "--classes": classes.length > 0, "--prompt": prompt, "--prompts": prompts, "--captions": captions };
  const only = (kind: string, flags: readonly string[]) => {
    const wrong = Object.entries(given).find(([flag, value]) => value && !flags.includes(flag))?.[0];
    if (wrong) throw new TensorARError(`${wrong}: ${modelDir} is conditioned on ${kind}; use ${flags.join(" or ")}`);
  };
  const inTurn = <C>(
    conditioning: Conditioning<C>,
    all: readonly C[],
    names: readonly string[],
    chosen?: Int32Array,
  ) => {
    const labels = chosen ?? Int32Array.from({ length: count }, (_, i) => i % all.length);
    return { conditioning, labels, names, conditions: Array.from(labels, (label) => all[label]!) };
  };
  if ("dtype" in condition) {
    only("classes", ["--classes"]);
    const labels = chosenClasses(classes, model.classes, count, (text) => console.error(`note: ${text}`));
    const all = model.classes.map((_, label) => label);
    return inTurn(classLabels(nullCondition), all, model.classes, labels);
  }
  if ("caption" in condition) {
    only("features of captions", ["--captions"]);
    if (captions === undefined)
      throw new TensorARError(`${modelDir} is conditioned on features of captions; give their file with --captions`);
    const all = await loadCaptions(captions, condition);
    return inTurn(
      captionFeatures,
      all,
      all.map((_, i) => `caption ${i}`),
    );
  }
  only("prompts", ["--prompt", "--prompts"]);
  const texts = prompts === undefined ? [prompt ?? ""] : await readLines(prompts);
  if ((prompt === undefined) === (prompts === undefined))
    throw new TensorARError(`${modelDir} is conditioned on prompts; give --prompt, or --prompts with a file of lines`);
  const tokenize = await openPromptTokenizer(modelDir);
  return inTurn(promptTokens(padIdOf(model)), texts.map(tokenize), texts);
}

/**
 * `count` class indices: the chosen classes in turn, by name or by index. A name wins over an index, and the first of several
 * classes of one name over the others; `note` is told where there was a choice.
 * @throws TensorARError when there is no such class
 */
export function chosenClasses(
  chosen: readonly string[],
  classes: readonly string[],
  count: number,
  note: (text: string) => void,
): Int32Array {
  const indices = chosen.map((text) => {
    const named = classes.flatMap((name, index) => (name === text ? [index] : []));
    const index = indexOf(text, classes.length);
    const [found = index] = named;
    if (found === undefined) throw unknownClass(text, classes);
    if (named.length > 1)
      note(
        `--classes ${text}: classes ${named.join(" and ")} have this name; taken as ${found}; give an index for another`,
      );
    else if (index !== undefined && index !== found)
      note(`--classes ${text}: taken as the name of class ${found}, not as the index of "${classes[index]}"`);
    return found;
  });
  const cycle = indices.length > 0 ? indices : classes.map((_, i) => i);
  return Int32Array.from({ length: count }, (_, i) => cycle[i % cycle.length]!);
}

/** The index that a text of plain digits is; undefined for other texts, and beyond the last class. */
function indexOf(text: string, classes: number): number | undefined {
  const index = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return index < classes ? index : undefined;
}

const LISTED = 20;

function unknownClass(text: string, classes: readonly string[]): TensorARError {
  const listed = classes.slice(0, LISTED).map((name, index) => `${index} ${name}`);
  const more = classes.length > LISTED ? `, … ${classes.length - 1} ${classes.at(-1)}` : "";
  return new TensorARError(
    `--classes: ${quote(text)} is neither name nor index of a class; this model has ${listed.join(", ")}${more}`,
  );
}
