import { mkdir } from "node:fs/promises";
import type { TensorData } from "@tensorar/checkpoint";
import { type ModelDescription, modelOf, saveModel } from "@tensorar/model/node";
import { createStream } from "@tensorar/noise";
import { TINY_VQ } from "@tensorar/testing";
import { createTokenizer, type VqConfig } from "@tensorar/tokenizer";
import { saveTokenizer } from "@tensorar/tokenizer/node";

/** A model of captions: 3 × 3 codes out of 16. */
export const TINY_T2I = {
  model_type: "t2i",
  dim: 16,
  n_layer: 1,
  n_head: 2,
  multiple_of: 8,
  vocab_size: 16,
  block_size: 9,
  num_classes: 1,
  cls_token_num: 5,
  class_dropout_prob: 0.1,
  caption_dim: 8,
} as const;

/** Small random parameters. */
export function randomTensors(
  shapes: Readonly<Record<string, readonly number[]>>,
  seed = 3,
): Record<string, TensorData> {
  const random = createStream(seed, "tiny models");
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => 0.3 * random.normal());
      return [name, { dtype: "float32" as const, shape, data }];
    }),
  );
}

/** A model of 3 × 3 codes out of 16, with a window of 3 unless another is given. */
export async function writeTinyModel(
  dir: string,
  { seed = 3, windowSize = 3, ...changes }: Partial<ModelDescription> & { seed?: number; windowSize?: number } = {},
): Promise<string> {
  const description: ModelDescription = {
    kind: "llamagen",
    backbone: {
      model_type: "c2i",
      dim: 16,
      n_layer: 1,
      n_head: 2,
      multiple_of: 8,
      vocab_size: 16,
      block_size: 9,
      num_classes: 3,
      cls_token_num: 1,
      class_dropout_prob: 0.1,
    },
    tensorar: { windowSize, depth: 1, structure: "gated" },
    noiseRates: Array.from({ length: windowSize }, (_, j) => j / windowSize),
    grid: [3, 3],
    classes: ["cat", "dog", "10"],
    ...changes,
  };
  await mkdir(dir, { recursive: true });
  await saveModel(dir, { ...description, tensors: randomTensors(modelOf(description).shapes, seed) }, "float32");
  return dir;
}

/** A tokenizer of 16 codes, each of 2 × 2 pixels. */
export async function writeTinyTokenizer(dir: string, { imageSize = 6, codes = 16 } = {}): Promise<string> {
  const config: VqConfig = { ...TINY_VQ, codebook_size: codes };
  await mkdir(dir, { recursive: true });
  const tensors = randomTensors(createTokenizer({ kind: "vq", config }).shapes);
  await saveTokenizer(dir, { kind: "vq", config, imageSize, tensors }, "float32");
  return dir;
}
