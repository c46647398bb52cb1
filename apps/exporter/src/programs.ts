import { DECODER, DEVICE_RESIDENT, type GraphFile, IMAGE_DECODER, NEXT_SUB_TOKEN } from "@tensorar/manifest";
import { modelPrograms, toParams } from "@tensorar/model";
import type { AnyProgram } from "@tensorar/program";
import { createTokenizer, tokenizerPrograms } from "@tensorar/tokenizer";
import * as tf from "@tensorflow/tfjs-core";
import type { Sources } from "./sources";

/** What an export may consist of, by file; all but `generation.onnx`, which is made of several programs. */
export interface ExportedPrograms {
  readonly programs: ReadonlyMap<GraphFile, AnyProgram>;
  /** Frees the weights of all. */
  dispose(): void;
}

/** The programs of a model and its tokenizer, each named as its file. */
export function exportedPrograms({ model: { model, tensors }, tokenizer }: Sources): ExportedPrograms {
  const weights = { model: toParams(tensors), tokenizer: toParams(tokenizer.tensors) };
  const { step, deviceStep, nextSubToken } = modelPrograms(model, weights.model);
  const { decode } = tokenizerPrograms(createTokenizer(tokenizer), weights.tokenizer, tokenizer.imageSize);
  // The manifest has two sub-tokens at most, so that one program predicts those that follow.
  const [next] = nextSubToken;
  const files: readonly (readonly [GraphFile, AnyProgram])[] = [
    [DECODER, step],
    [DEVICE_RESIDENT, deviceStep],
    ...(next ? [[NEXT_SUB_TOKEN, next] as const] : []),
    [IMAGE_DECODER, decode],
  ];
  return {
    programs: new Map(files.map(([file, program]) => [file, { ...program, name: file.replace(/\.onnx$/, "") }])),
    dispose: () => tf.dispose(weights),
  };
}
