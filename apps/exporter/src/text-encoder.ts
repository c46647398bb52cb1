import type { TensorData } from "@tensorar/checkpoint";
import { TensorARError } from "@tensorar/core";
import type { ExportManifest } from "@tensorar/manifest";
import {
  attachTensorAR,
  type Backbone,
  type CaptionCondition,
  type Condition,
  type LoadedModel,
  type Params,
  type TensorARModel,
  toParams,
} from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import { runProgram } from "@tensorar/program";
import { type Caption, captionFeatures } from "@tensorar/sampler";
import { beside, expectFeatureSize, textEncoderProgram, withTextEncoder } from "@tensorar/text-encoder";
import {
  describeTextEncoder,
  findTextEncoder,
  type LoadedTextEncoder,
  loadTextEncoder,
} from "@tensorar/text-encoder/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Conditions } from "./random-conditions";

/**
 * The text encoder of a model of captions, where its functions are known.
 * @throws TensorARError where one is named that is not there, or makes other features than the model takes
 */
export async function ownTextEncoder(modelDir: string, model: LoadedModel): Promise<LoadedTextEncoder | undefined> {
  const { condition } = model.model.backbone;
  if (!("caption" in condition)) return undefined;
  const dir = await findTextEncoder(modelDir);
  if (dir === undefined || (await describeTextEncoder(dir)).kind === "onnx") return undefined;
  const encoder = await loadTextEncoder(dir);
  const [maxLength, width] = condition.caption!.shape as readonly [number, number];
  expectFeatureSize(dir, { maxLength: encoder.maxLength, width: encoder.functions.width }, { maxLength, width });
  return encoder;
}

/** @throws TensorARError where there is none beside the model that an export was made from with one */
export async function requiredTextEncoder(modelDir: string, model: LoadedModel): Promise<LoadedTextEncoder> {
  const encoder = await ownTextEncoder(modelDir, model);
  if (encoder) return encoder;
  throw new TensorARError(`${modelDir}: there is no text encoder, with which the export was made; put it there again`, {
    code: "missing",
  });
}

/** What the manifest says of the texts that the end-to-end graph takes. */
export const textsOf = ({
  functions,
  maxLength,
  padding,
}: LoadedTextEncoder): NonNullable<NonNullable<ExportManifest["generation"]>["textEncoder"]> => ({
  maxLength,
  below: functions.vocabSize,
  padding,
});

/** A model whose conditions are texts as tokens, with the parameters of both; the caller disposes of them. */
export function readingTexts(
  folder: LoadedModel,
  encoder: LoadedTextEncoder,
): { readonly model: TensorARModel<Condition>; readonly params: Params } {
  const backbone = folder.model.backbone as Backbone<Condition> as Backbone<CaptionCondition>; // as ownTextEncoder checked
  const joined = withTextEncoder(backbone, encoder.functions, encoder.maxLength);
  return {
    model: attachTensorAR(joined, folder.tensorar) as TensorARModel<never> as TensorARModel<Condition>,
    params: { ...toParams(folder.tensors), ...beside(toParams(encoder.tensors)) },
  };
}

/** Random texts: as tokens for the end-to-end graph, and as features for the steps. */
export interface RandomTexts {
  readonly tokens: Readonly<Record<"tokens" | "mask" | "dropped", TensorData>>;
  readonly conditions: Conditions;
}

/** Texts of random tokens and lengths, one the longest; the encoder runs on the current backend of TensorFlow.js. */
export function randomTexts(encoder: LoadedTextEncoder, count: number, seed: number): RandomTexts {
  const { functions, maxLength: T, padding } = encoder;
  const { width: D, vocabSize } = functions;
  const random = createStream(seed, "texts");
  const [ids, mask] = [new Int32Array(count * T), new Int32Array(count * T)];
  for (let text = 0; text < count; text++) {
    const length = text === 0 ? T : 1 + random.below(T);
    const first = text * T + (padding === "left" ? T - length : 0);
    for (let at = first; at < first + length; at++) ids[at] = random.below(vocabSize);
    mask.fill(1, first, first + length);
  }
  const int = (data: Int32Array): TensorData<"int32"> => ({ dtype: "int32", shape: [count, T], data });
  const params = toParams(encoder.tensors);
  const { features } = runProgram(textEncoderProgram(functions, params), { ids: int(ids), mask: int(mask) });
  tf.dispose(params);
  const masked = (features.data as Float32Array).map((value, i) => value * mask[Math.floor(i / D)]!);
  const captions = Array.from(
    { length: count },
    (_, text): Caption => ({
      features: masked.slice(text * T * D, (text + 1) * T * D),
      mask: Float32Array.from(mask.subarray(text * T, (text + 1) * T)),
    }),
  );
  return {
    tokens: {
      tokens: int(ids),
      mask: { dtype: "float32", shape: [count, T], data: Float32Array.from(mask) },
      dropped: { dtype: "int32", shape: [count], data: new Int32Array(count) },
    },
    conditions: { conditioning: captionFeatures, conditions: captions } as Conditions,
  };
}
