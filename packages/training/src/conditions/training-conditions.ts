import { stat } from "node:fs/promises";
import { TensorARError, type TensorData, type TensorSpec } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import type { Codes } from "@tensorar/data";
import { type ConditionSpec, type ConditionSpecs, type LoadedModel, PROMPT_CONDITION } from "@tensorar/model";
import {
  type Conditioning,
  type ConditionTensors,
  captionFeatures,
  classLabels,
  promptTokens,
} from "@tensorar/sampler";
import { expectFeatureSize } from "@tensorar/text-encoder";
import { hashTexts, openCaptionFeatures } from "./caption-features";
import { loadCaptions } from "./captions";
import { openPromptTokenizer, type PromptTokenizer, type ReadPrompt } from "./prompts";

/** What the images of a data set are conditioned on, as a model takes it. */
export interface TrainingConditions {
  /** What to tell a user about captions that are not read as they stand. */
  readonly notes?: readonly string[];
  /** @param batch images of a batch; a name where that may change */
  spec(batch: number | string): ConditionSpecs;
  /**
   * @param images of the data set
   * @param dropped [images.length]: 1 where none takes the condition's place
   * @param draws [images.length] in [0, 1): which of an image's several conditions is taken; the first when left out
   */
  batch(
    images: ArrayLike<number>,
    dropped: Uint8Array,
    draws?: ArrayLike<number>,
  ): ConditionTensors | Promise<ConditionTensors>;
}

/** Classes by label. @param nullClass the class that stands for none */
export const classConditions = (labels: Int32Array, nullClass: number): TrainingConditions =>
  conditionsOf(
    { dtype: "int32", shape: [] },
    Array.from(labels, (label) => [label]),
    classLabels(nullClass),
  );

/**
 * Conditions of a data set for a model: labels of classes, the features of captions from a file, or prompts made from
 * captions, or class names where images have none.
 * @throws TensorARError when the captions are missing, superfluous or not those of the data set
 */
export async function trainingConditions(
  model: LoadedModel,
  modelDir: string,
  codes: Codes,
  captionsFile?: string,
): Promise<TrainingConditions> {
  const { condition, unconditionalClass } = model.model.backbone;
  const isCaptioned = "caption" in condition;
  if (captionsFile !== undefined && !isCaptioned)
    throw new TensorARError(`--captions ${captionsFile}: ${modelDir} takes no features of captions; leave it out`);
  if ("dtype" in condition) return classConditions(codes.labels, unconditionalClass);
  if (isCaptioned) {
    if (captionsFile === undefined)
      throw new TensorARError(
        `${modelDir} is conditioned on features of captions; make them with \`tensorar captions\` and give their folder with --captions`,
      );
    return captionConditions(condition, codes, captionsFile);
  }
  const prompts = model.model.backbone.prompts!; // the one other kind of condition
  return promptConditions(codes, await openPromptTokenizer(modelDir, prompts), prompts.padId);
}

/** All captions of every image, or its class name where it has none. */
export const captionTexts = ({
  labels,
  classes,
  captions,
}: {
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly captions?: readonly (readonly string[])[];
}): (readonly string[])[] =>
  Array.from(labels, (label, image) => {
    const own = captions?.[image] ?? [];
    return own.length > 0 ? own : [classes[label]!];
  });

/** Features of captions: a folder of shards, which is read as it is needed, or one file. */
async function captionConditions(
  condition: Readonly<Record<string, ConditionSpec>>,
  codes: Codes,
  path: string,
): Promise<TrainingConditions> {
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    (cause) => {
      throw fileError("read", path, cause);
    },
  );
  if (isFolder) return streamedConditions(condition, codes, path);
  const captions = await loadCaptions(path, condition);
  if (captions.length !== codes.count)
    throw new TensorARError(`${path} holds ${captions.length} captions for ${codes.count} images; give one each`);
  return conditionsOf(
    condition,
    captions.map((caption) => [caption]),
    captionFeatures,
  );
}

async function streamedConditions(
  condition: Readonly<Record<string, ConditionSpec>>,
  codes: Codes,
  dir: string,
): Promise<TrainingConditions> {
  const features = await openCaptionFeatures(dir);
  const [maxLength, width] = condition.caption!.shape as readonly [number, number];
  expectFeatureSize(dir, features, { maxLength, width });
  if (features.images !== codes.count || features.texts !== hashTexts(captionTexts(codes)))
    throw new TensorARError(
      `${dir} holds features of the captions of another data set than that of the codes (${features.images} images, and ` +
        `${codes.count}); make them with \`tensorar captions --data ${codes.dataset}\``,
    );
  return {
    spec: (batch) => specsOf(condition, batch, 0),
    async batch(images, dropped, draws) {
      const read = Array.from(images, async (image, i) => {
        const caption = await features.read(image, draws?.[i] ?? 0);
        return dropped[i] ? captionFeatures.unconditional(caption) : caption;
      });
      return captionFeatures.tensors(await Promise.all(read));
    },
  };
}

/** Prompts made from all captions of every image, or from class names where images have none. */
export function promptConditions(
  codes: Codes,
  { read }: Pick<PromptTokenizer, "read">,
  padId: number,
): TrainingConditions {
  const texts = captionTexts(codes);
  const known = new Map([...new Set(texts.flat())].map((text) => [text, read(text)]));
  const prompts = texts.map((own) => own.map((text) => known.get(text)!.tokens));
  const cut = [...known.values()].filter(({ tokens, length }) => length > tokens.length);
  return { ...conditionsOf(PROMPT_CONDITION, prompts, promptTokens(padId)), notes: notesOfCut(cut, known.size) };
}

function notesOfCut(cut: readonly ReadPrompt[], captions: number): string[] {
  if (cut.length === 0) return [];
  const longest = cut.reduce((most, { length }) => Math.max(most, length), 0);
  const read = cut[0]!.tokens.length;
  return [`${cut.length} of ${captions} captions are cut to their first ${read} tokens; the longest has ${longest}`];
}

function conditionsOf<C extends number | ArrayLike<number> | object>(
  spec: ConditionSpec | Readonly<Record<string, ConditionSpec>>,
  conditions: readonly (readonly C[])[],
  conditioning: Conditioning<C>,
): TrainingConditions {
  // A training step has one size: that of the longest condition, for which the others are padded.
  const longest = conditions.flat().reduce((best, each) => (lengthOf(each) > lengthOf(best) ? each : best));
  return {
    spec: (batch) => specsOf(spec, batch, lengthOf(longest)),
    batch(images, dropped, draws) {
      const chosen = Array.from(images, (image, i) => {
        const own = conditions[image]!;
        const condition = own[Math.floor((draws?.[i] ?? 0) * own.length)]!;
        return dropped[i] ? conditioning.unconditional(condition) : condition;
      });
      const padded = conditioning.tensors([...chosen, longest]);
      if (isTensor(padded)) return withoutLast(padded);
      return Object.fromEntries(Object.entries(padded).map(([name, each]) => [name, withoutLast(each)]));
    },
  };
}

/** Specs of a batch. @param length of conditions that may have any */
function specsOf(
  spec: ConditionSpec | Readonly<Record<string, ConditionSpec>>,
  batch: number | string,
  length: number,
): ConditionSpecs {
  const ofBatch = ({ dtype, shape }: ConditionSpec): TensorSpec => ({
    dtype,
    shape: [batch, ...shape.map((size) => (typeof size === "string" ? length : size))],
  });
  if (isSpec(spec)) return ofBatch(spec);
  return Object.fromEntries(Object.entries(spec).map(([name, each]) => [name, ofBatch(each)]));
}

const lengthOf = (condition: unknown): number => (Array.isArray(condition) ? condition.length : 0);

const isSpec = (spec: object): spec is ConditionSpec => "dtype" in spec;

type ConditionTensor = Extract<ConditionTensors, TensorData>;

const isTensor = (tensors: ConditionTensors): tensors is ConditionTensor => "dtype" in tensors && "data" in tensors;

/** All rows but the last one. */
function withoutLast<D extends ConditionTensor["dtype"]>({ dtype, shape, data }: TensorData<D>) {
  const rows = shape[0]! - 1;
  return { dtype, shape: [rows, ...shape.slice(1)], data: data.slice(0, (data.length / shape[0]!) * rows) };
}
