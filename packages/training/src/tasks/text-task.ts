import { join } from "node:path";
import { writeChecksums, writeFileAtomic } from "@tensorar/core/node";
import type { Codes } from "@tensorar/data";
import {
  BASE_FORM,
  initTextLlamaGen,
  type LlamaGenConfig,
  type ModelDescription,
  type TextLlamaGenConfig,
  textLlamaGen,
} from "@tensorar/model";
import { createTextTokenizer, type TokenizerContents, wordPieceTokenizer } from "@tensorar/text";
import { TOKENIZER_FILES } from "@tensorar/text/node";
import { promptTokenizer } from "../conditions/prompts";
import { promptConditions } from "../conditions/training-conditions";
import { TRAINING_DEFAULTS } from "../settings";
import type { ArSpecs } from "./ar-task";
import { hostParams } from "./host-params";
import { fromScratch, type PretrainOptions } from "./model-tasks";
import type { TrainingTask } from "./task";

/** Sizes of a text encoder that is trained with its model. */
export interface TextEncoderSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Tokens of the vocabulary that is made from the captions, at most. */
  readonly vocabulary: number;
  /** Tokens of a caption; longer ones lose their end. */
  readonly maxTokens: number;
}

/**
 * Trains a base model of prompts on codes with captions: LlamaGen's decoder and a text encoder of its own, from nothing. The
 * vocabulary is made from the captions of the training images, and saved with the model.
 *
 * @param sizes of the decoder: `dim`, `n_layer`, `n_head` and the like; what the codes say is filled in
 * @throws TensorARError when the sizes describe no model, or the vocabulary is too small
 */
export function pretrainTextTask(
  codes: Codes,
  sizes: Pick<LlamaGenConfig, "dim" | "n_layer" | "n_head" | "multiple_of">,
  encoder: TextEncoderSizes,
  options: PretrainOptions = {},
): TrainingTask<ArSpecs> {
  const { seed = TRAINING_DEFAULTS.seed } = options;
  const contents = wordPieceTokenizer(trainingCaptions(codes), encoder.vocabulary);
  const backbone = backboneOf(codes, sizes, encoder, contents);
  const { prompts } = textLlamaGen(backbone);
  const tokenizer = promptTokenizer(createTextTokenizer(contents.tokenizer, contents.config), prompts);
  const description: ModelDescription = {
    kind: "llamagen-text",
    backbone,
    ...BASE_FORM,
    grid: codes.grid,
    classes: [],
  };
  return fromScratch(
    {
      recipe: { ...options, backbone },
      description,
      initial: () => hostParams(initTextLlamaGen(backbone, seed)),
      codes,
      conditions: promptConditions(codes, tokenizer, prompts.padId),
      afterSave: (dir) => saveTokenizer(dir, contents),
    },
    options,
  );
}

function backboneOf(
  codes: Codes,
  sizes: Pick<LlamaGenConfig, "dim" | "n_layer" | "n_head" | "multiple_of">,
  { width, layers, heads, maxTokens }: TextEncoderSizes,
  { vocabularySize, padId }: TokenizerContents,
): TextLlamaGenConfig {
  return {
    encoder: {
      vocab_size: vocabularySize,
      d_model: width,
      d_kv: Math.max(1, Math.floor(width / heads)),
      num_heads: heads,
      num_layers: layers,
      d_ff: 2 * width,
      relative_attention_num_buckets: 32,
      relative_attention_max_distance: 128,
      feed_forward_proj: "gated-gelu",
      layer_norm_epsilon: 1e-6,
    },
    decoder: {
      dim: sizes.dim,
      n_layer: sizes.n_layer,
      n_head: sizes.n_head,
      multiple_of: sizes.multiple_of,
      vocab_size: codes.vocabSize,
      block_size: codes.grid[0] * codes.grid[1],
    },
    max_prompt: maxTokens,
    pad_id: padId,
  };
}

/** Captions of the images that are trained on; class names where images have none. */
function trainingCaptions({ train, captions, classes, labels }: Codes): Set<string> {
  const own = (image: number) => captions?.[image] ?? [];
  return new Set([...train].flatMap((image) => (own(image).length > 0 ? own(image) : [classes[labels[image]!]!])));
}

async function saveTokenizer(dir: string, { tokenizer, config }: TokenizerContents): Promise<void> {
  const [tokenizerFile, configFile] = TOKENIZER_FILES;
  await writeFileAtomic(join(dir, tokenizerFile), `${JSON.stringify(tokenizer)}\n`);
  await writeFileAtomic(join(dir, configFile), `${JSON.stringify(config, null, 2)}\n`);
  await writeChecksums(dir, ["config.json", "model.safetensors", ...TOKENIZER_FILES]);
}
