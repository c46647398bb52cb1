import { TensorARError, type TensorData, type TensorSpec } from "@tensorar/core";
import type { Codes } from "@tensorar/data";
import type { ConditionSpec, ConditionSpecs, LoadedModel } from "@tensorar/model";
import {
  type Conditioning,
  type ConditionTensors,
  captionFeatures,
  classLabels,
  promptTokens,
} from "@tensorar/sampler";
import { loadCaptions } from "./captions";
import { openPromptTokenizer } from "./prompts";

/** What the images of a data set are conditioned on, as a model takes it. */
export interface TrainingConditions {
  /** @param batch images of a batch; a name where that may change */
  spec(batch: number | string): ConditionSpecs;
  /**
   * @param images of the data set
   * @param dropped [images.length]: 1 where none takes the condition's place
   */
  batch(images: ArrayLike<number>, dropped: Uint8Array): ConditionTensors;
}

/** Classes by label. @param nullClass the class that stands for none */
export const classConditions = (labels: Int32Array, nullClass: number): TrainingConditions =>
  conditionsOf({ dtype: "int32", shape: [] }, Array.from(labels), classLabels(nullClass));

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
  const { condition, nullCondition } = model.model.backbone;
  const isCaptioned = "caption" in condition;
  if (captionsFile !== undefined && !isCaptioned)
    throw new TensorARError(`--captions ${captionsFile}: ${modelDir} takes no features of captions; leave it out`);
  if ("dtype" in condition) return classConditions(codes.labels, nullCondition);
  if (isCaptioned) {
    if (captionsFile === undefined)
      throw new TensorARError(`${modelDir} is conditioned on features of captions; give their file with --captions`);
    const captions = await loadCaptions(captionsFile, condition);
    if (captions.length !== codes.count)
      throw new TensorARError(
        `${captionsFile} holds ${captions.length} captions for ${codes.count} images; give one each`,
      );
    return conditionsOf(condition, captions, captionFeatures);
  }
  const tokenize = await openPromptTokenizer(modelDir);
  const texts = Array.from(codes.labels, (label, image) => codes.captions?.[image] || codes.classes[label]!);
  const known = new Map([...new Set(texts)].map((text) => [text, tokenize(text)]));
  const prompts = texts.map((text) => known.get(text)!);
  return conditionsOf(condition, prompts, promptTokens(padIdOf(model)));
}

/** The text token of padding that a model of prompts was made with. */
export const padIdOf = ({ backbone }: LoadedModel): number => (backbone as { readonly pad_id: number }).pad_id;

function conditionsOf<C extends number | ArrayLike<number> | object>(
  spec: ConditionSpec | Readonly<Record<string, ConditionSpec>>,
  conditions: readonly C[],
  conditioning: Conditioning<C>,
): TrainingConditions {
  // A training step has one size: that of the longest condition, for which the others are padded.
  const lengths = conditions.map((condition) => (Array.isArray(condition) ? condition.length : 0));
  const longest = conditions[lengths.indexOf(Math.max(...lengths))]!;
  const ofBatch = (batch: number | string, { dtype, shape }: ConditionSpec): TensorSpec => ({
    dtype,
    shape: [batch, ...shape.map((size) => (typeof size === "string" ? Math.max(...lengths) : size))],
  });
  return {
    spec: (batch) =>
      isSpec(spec)
        ? ofBatch(batch, spec)
        : Object.fromEntries(Object.entries(spec).map(([name, each]) => [name, ofBatch(batch, each)])),
    batch(images, dropped) {
      const chosen = Array.from(images, (image, i) =>
        dropped[i] ? conditioning.unconditional(conditions[image]!) : conditions[image]!,
      );
      const padded = conditioning.tensors([...chosen, longest]);
      if (isTensor(padded)) return withoutLast(padded);
      return Object.fromEntries(Object.entries(padded).map(([name, each]) => [name, withoutLast(each)]));
    },
  };
}

const isSpec = (spec: object): spec is ConditionSpec => "dtype" in spec;

type ConditionTensor = Extract<ConditionTensors, TensorData>;

const isTensor = (tensors: ConditionTensors): tensors is ConditionTensor => "dtype" in tensors && "data" in tensors;

/** All rows but the last one. */
function withoutLast<D extends ConditionTensor["dtype"]>({ dtype, shape, data }: TensorData<D>) {
  const rows = shape[0]! - 1;
  return { dtype, shape: [rows, ...shape.slice(1)], data: data.slice(0, (data.length / shape[0]!) * rows) };
}
