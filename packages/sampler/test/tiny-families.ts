import {
  attachTensorAR,
  type Backbone,
  type Condition,
  janus,
  type LlamaGenConfig,
  llamaGen,
  magvit2Ar,
  type OutputStructure,
  type ParameterShapes,
  type Params,
  rar,
} from "@tensorar/model";
import { createStream } from "@tensorar/noise";
import * as tf from "@tensorflow/tfjs-core";
import { type Conditioning, captionFeatures, classLabels, type Decoder, promptTokens } from "../src";
import { eagerDecoder } from "./eager-decoder";

const [tokens, codes] = [9, 13];

const llamaGenConfig: LlamaGenConfig = {
  model_type: "c2i",
  dim: 16,
  n_layer: 2,
  n_head: 2,
  multiple_of: 8,
  vocab_size: codes,
  block_size: tokens,
  num_classes: 3,
  cls_token_num: 1,
  class_dropout_prob: 0.1,
};

/** A family's smallest model, and three images to condition it on. */
export interface TinyFamily {
  readonly name: string;
  /** The same model one position a step, or several. */
  open(windowSize: number, parallel: boolean, structure?: OutputStructure): TinyDecoder<unknown>;
}

export interface TinyDecoder<C> {
  readonly decoder: Decoder<C>;
  readonly conditions: readonly C[];
}

function family<C, T extends Condition>(
  name: string,
  backbone: Backbone<T>,
  conditioning: Conditioning<C>,
  conditions: readonly C[],
): TinyFamily {
  return {
    name,
    open(windowSize, parallel, structure = "maps") {
      const model = attachTensorAR(backbone, { windowSize, structure });
      return { decoder: eagerDecoder(model, randomParams(model.shapes), conditioning, { parallel }), conditions };
    },
  };
}

/** Parameters that leave no part of a model idle, and its predictions neither flat nor certain. */
function randomParams(shapes: ParameterShapes): Params {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const random = createStream(5, name);
      const size = shape.reduce((product, each) => product * each, 1);
      const spread = 1.5 / Math.sqrt(shape.at(-1)!);
      const norm = shape.length === 1 && !name.endsWith("bias");
      const data = Float32Array.from({ length: size }, () => (norm ? 1 : spread * random.normal()));
      return [name, tf.tensor(data, [...shape])];
    }),
  );
}

const captions = [2, 3, 1].map((shown, image) => {
  const random = createStream(7, "caption", image);
  const mask = Float32Array.from({ length: 3 }, (_, position) => (position < 3 - shown ? 0 : 1));
  return { features: Float32Array.from({ length: 15 }, () => random.normal()), mask };
});

/** Every family, every kind of condition, whole codes and sub-tokens. */
export const TINY_FAMILIES: readonly TinyFamily[] = [
  family("LlamaGen by class", llamaGen({ ...llamaGenConfig, model_type: "c2i" }), classLabels(3), [0, 2, 1]),
  family(
    "LlamaGen by caption",
    llamaGen({ ...llamaGenConfig, model_type: "t2i", cls_token_num: 3, caption_dim: 5 }),
    captionFeatures,
    captions,
  ),
  family(
    "Open-MAGVIT2",
    magvit2Ar({
      block_size: tokens,
      spatial_n_layer: 2,
      factorized_n_layer: 1,
      n_head: 2,
      dim: 16,
      class_num: 3,
      factorized_bits: [2, 3],
      multiple_of: 8,
    }),
    classLabels(3),
    [0, 2, 1],
  ),
  family(
    "RAR",
    rar({
      hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      intermediate_size: 32,
      image_seq_len: tokens,
      condition_num_classes: 3,
      codebook_size: codes,
    }),
    classLabels(3),
    [0, 2, 1],
  ),
  family(
    "Janus-Pro",
    janus({
      language: {
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        intermediate_size: 24,
        vocab_size: 12,
        rms_norm_eps: 1e-6,
        rope_theta: 10000,
      },
      gen_vision: { codebook_size: codes, codebook_embed_dim: 4, grid: Math.sqrt(tokens) },
      image_token_embed: 8,
      pad_id: 2,
    }),
    promptTokens(2),
    [
      [1, 5, 6, 3],
      [1, 3],
      [1, 7, 3],
    ],
  ),
];
