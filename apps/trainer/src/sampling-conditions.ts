import { startProgress } from "@tensorar/cli";
import { quote, TensorARError } from "@tensorar/core";
import { plainText, readLines } from "@tensorar/data";
import { readPrompts } from "@tensorar/evaluation";
import type { ConditionSpec, LoadedModel } from "@tensorar/model";
import { type Caption, type Conditioning, captionFeatures, classLabels, promptTokens } from "@tensorar/sampler";
import { encodingNotes, expectFeatureSize, featureSize } from "@tensorar/text-encoder";
import { describeTextEncoder, openTextEncoder, textEncoderOf } from "@tensorar/text-encoder/node";
import { type Engine, encodeCaptions, loadCaptions, openPromptTokenizer } from "@tensorar/training";

/** What the command line says about conditions. */
export interface ConditionSettings {
  readonly numImages: number;
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
  /** The condition of image `image`. */
  of(image: number): AnyCondition;
  /** Conditions that take turns. */
  readonly turns: number;
  /** Index into `names` of every image, [count]. */
  readonly labels: Int32Array;
  /** Classes or texts. */
  readonly names: readonly string[];
  /** Whether the names describe images, and are no classes. */
  readonly ofTexts: boolean;
  /** Folder of the text encoder that made features of prompts. */
  readonly textEncoder?: string;
}

/** What conditions are made with, beside the command line's settings. */
export interface ConditionTools {
  /** Runs a model's text encoder. */
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

/**
 * Classes, prompts or captions in turn, whatever the model takes.
 * @throws TensorARError when the settings are for another kind of model, or name what there is not
 */
export async function samplingConditions(
  model: LoadedModel,
  modelDir: string,
  settings: ConditionSettings,
  tools: ConditionTools,
): Promise<SamplingConditions> {
  const { condition, unconditionalClass } = model.model.backbone;
  const { numImages: count } = settings;
  if ("dtype" in condition) {
    expectOnly(modelDir, settings, "classes", ["--classes"]);
    const chosen = chosenClasses(settings.classes, model.classes, (text) => console.error(`note: ${text}`));
    const inOrder = inTurn(count, classLabels(unconditionalClass), (label) => label, model.classes, chosen);
    return { ...inOrder, ofTexts: false };
  }
  if ("caption" in condition) return captionConditions(condition, modelDir, settings, tools);
  expectOnly(modelDir, settings, "prompts", ["--prompt", "--prompts"]);
  const texts = await promptsOf(modelDir, settings);
  const input = model.model.backbone.prompts!; // the one other kind of condition
  const { encode, notes } = await openPromptTokenizer(modelDir, input);
  for (const note of notes(texts)) console.error(`note: ${note}`);
  const tokens = texts.map(encode);
  return inTurn(count, promptTokens(input.padId), (text) => tokens[text]!, texts);
}

/** Features of captions: of a file, or made of prompts by the model's own text encoder. */
async function captionConditions(
  condition: Readonly<Record<string, ConditionSpec>>,
  modelDir: string,
  settings: ConditionSettings,
  { engine, signal }: ConditionTools,
): Promise<SamplingConditions> {
  expectOnly(modelDir, settings, "texts", ["--prompt", "--prompts", "--captions"]);
  const { numImages: count, captions, prompt, prompts } = settings;
  if (captions !== undefined) {
    const wrong = prompt === undefined ? prompts && "--prompts" : "--prompt";
    if (wrong) throw new TensorARError(`${wrong} and --captions both say what the images show; give one of them`);
    const all = await loadCaptions(captions, condition);
    const names = all.map((_, i) => `caption ${i}`);
    return inTurn(count, captionFeatures, (caption) => all[caption]!, names);
  }
  const texts = await promptsOf(modelDir, settings);
  const textEncoder = await textEncoderOf(modelDir);
  const [maxLength, width] = condition.caption!.shape as readonly [number, number];
  expectFeatureSize(textEncoder, featureSize(await describeTextEncoder(textEncoder)), { maxLength, width });
  const encoder = await openTextEncoder(textEncoder, engine.onnx);
  try {
    const { caption, losses } = await encodeCaptions(encoder, texts, { signal, progress: startProgress });
    for (const note of encodingNotes(losses, encoder.maxLength)) console.error(`note: ${note}`);
    return { ...inTurn(count, captionFeatures, caption, texts), textEncoder };
  } finally {
    await encoder.dispose(); // before the image model needs its memory
  }
}

/** @throws TensorARError where a setting is given that models of this kind don't take */
function expectOnly(modelDir: string, settings: ConditionSettings, kind: string, flags: readonly string[]): void {
  const { classes, prompt, prompts, captions } = settings;
  const given = {
    "--classes": classes.length > 0,
    "--prompt": prompt !== undefined,
    "--prompts": prompts !== undefined,
    "--captions": captions !== undefined,
  };
  const wrong = Object.entries(given).find(([flag, isGiven]) => isGiven && !flags.includes(flag))?.[0];
  if (wrong) throw new TensorARError(`${wrong}: ${modelDir} is conditioned on ${kind}; use ${flags.join(" or ")}`);
}

/** The prompt, or those of a file: one a line, or GenEval's. */
async function promptsOf(modelDir: string, { prompt, prompts }: ConditionSettings): Promise<readonly string[]> {
  if ((prompt === undefined) === (prompts === undefined))
    throw new TensorARError(`${modelDir} is conditioned on texts; give --prompt, or --prompts with a file of lines`);
  if (prompts === undefined) return [plainText(prompt!, "--prompt")];
  if (!prompts.endsWith(".jsonl")) return readLines(prompts);
  return (await readPrompts(prompts)).map((each) => each.prompt);
}

/** Conditions of one kind by their number: all in turn, or those that were chosen. */
function inTurn<C extends AnyCondition>(
  count: number,
  conditioning: Conditioning<C>,
  condition: (index: number) => C,
  names: readonly string[],
  chosen: readonly number[] = names.map((_, index) => index),
): SamplingConditions {
  const turns = Math.max(1, chosen.length); // without names of classes there is the first
  const labels = Int32Array.from({ length: count }, (_, image) => chosen[image % turns]!);
  return { conditioning, turns, labels, names, ofTexts: true, of: (image: number) => condition(labels[image]!) };
}

/**
 * Indices of the chosen classes, by name or by index; of all, where none is chosen. A name wins over an index, and the first of
 * several classes of one name over the others; `note` is told where there was a choice.
 * @throws TensorARError when there is no such class
 */
export function chosenClasses(
  chosen: readonly string[],
  classes: readonly string[],
  note: (text: string) => void,
): readonly number[] {
  if (chosen.length === 0) return classes.map((_, index) => index);
  return chosen.map((text) => {
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
