import { mkdir } from "node:fs/promises";
import type { TensorData } from "@tensorar/checkpoint";
import type { LlamaGenConfig } from "@tensorar/model";
import { type ModelDescription, type ModelFolder, modelOf, saveModel } from "@tensorar/model/node";
import { createStream, noiseRates } from "@tensorar/noise";
import { TINY_VQ } from "@tensorar/testing";
import { type VqConfig, vqShapes } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";

export const backbone: LlamaGenConfig = {
  model_type: "c2i",
  dim: 32,
  n_layer: 2,
  n_head: 4,
  n_kv_head: 2,
  multiple_of: 16,
  vocab_size: 11,
  block_size: 16,
  num_classes: 3,
  cls_token_num: 1,
  class_dropout_prob: 0.1,
};

export const vq: VqConfig = { ...TINY_VQ, codebook_size: 11 };

/** Weights that leave no part of a model idle: fresh ones have heads of zeros. */
function randomTensors(
  shapes: Readonly<Record<string, readonly number[]>>,
  purpose: string,
): Record<string, TensorData> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const random = createStream(1, purpose + name);
      const length = shape.reduce((product, size) => product * size, 1);
      const fanIn = length / shape[0]!;
      const data = Float32Array.from({ length }, () =>
        shape.length === 1 ? 1 + 0.1 * random.normal() : random.normal() / Math.sqrt(fanIn),
      );
      return [name, { dtype: "float32", shape, data }];
    }),
  );
}

export async function writeTinyModel(
  dir: string,
  windowSize: number,
  changes: Partial<LlamaGenConfig> = {},
): Promise<void> {
  await writeModel(dir, windowSize, "llamagen", { ...backbone, ...changes });
}

/** Any family's model; its classes are three. */
export async function writeModel(
  dir: string,
  windowSize: number,
  kind: ModelFolder["kind"],
  config: ModelFolder["backbone"],
  drafts: Partial<ModelDescription["tensorar"]> = {},
): Promise<void> {
  const description: ModelDescription = {
    kind,
    backbone: config,
    grid: [1, 1],
    classes: ["a", "b", "c"],
    tensorar: { windowSize, depth: 1, structure: "maps", ...drafts },
    noiseRates: [...noiseRates({ kind: "exponential" }, windowSize)],
  };
  const { shapes, backbone } = modelOf(description);
  const side = Math.sqrt(backbone.tokens);
  await mkdir(dir, { recursive: true });
  await saveModel(dir, { ...description, grid: [side, side], tensors: randomTensors(shapes, "model") }, "float32");
}

/** Its images are 8 pixels wide. */
export async function writeTinyTokenizer(dir: string, changes: Partial<VqConfig> = {}): Promise<void> {
  const config = { ...vq, ...changes };
  await mkdir(dir, { recursive: true });
  await saveTokenizer(
    dir,
    { kind: "vq", imageSize: 8, config, tensors: randomTensors(vqShapes(config), "vq") },
    "float32",
  );
}
