import type { JanusConfig, LlamaGenConfig, Magvit2ArConfig, RarConfig, TextLlamaGenConfig } from "@tensorar/model";
import { backbone } from "./tiny-folders";

export const codes = backbone.vocab_size;
const tokens = backbone.block_size;

/** One class position after another, read at every step. */
export const rar: RarConfig = {
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  image_seq_len: tokens,
  condition_num_classes: 3,
  codebook_size: codes,
};
/** Captions as features. */
export const text: LlamaGenConfig = { ...backbone, model_type: "t2i", cls_token_num: 6, caption_dim: 5 };
/** Prompts of any length. */
export const prompts: JanusConfig = {
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
};
/** Prompts of any length, read by an encoder that is part of the model. */
export const encoded: TextLlamaGenConfig = {
  encoder: {
    vocab_size: 12,
    d_model: 12,
    d_kv: 4,
    num_heads: 3,
    num_layers: 2,
    d_ff: 20,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 16,
    feed_forward_proj: "gated-gelu",
    layer_norm_epsilon: 1e-6,
  },
  decoder: { dim: 16, n_layer: 2, n_head: 4, n_kv_head: 2, multiple_of: 8, vocab_size: codes, block_size: tokens },
  max_prompt: 20,
  pad_id: 2,
};
/** Tokens of two sub-tokens. */
export const pairs: Magvit2ArConfig = {
  block_size: tokens,
  spatial_n_layer: 2,
  factorized_n_layer: 1,
  n_head: 2,
  dim: 16,
  class_num: 3,
  factorized_bits: [2, 3],
  multiple_of: 8,
};
