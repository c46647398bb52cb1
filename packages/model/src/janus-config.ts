import { quote, TensorARError } from "@tensorar/core";
import { expectBelow, MOST_LAYERS, MOST_TOKENS } from "./limits";
import type { ParameterShapes } from "./parameters";

/** What Janus-Pro generates images with. The keys of the original's `config.json` where it has them. */
export interface JanusConfig {
  /** The Llama inside. */
  readonly language: {
    /** D */
    readonly hidden_size: number;
    readonly num_hidden_layers: number;
    readonly num_attention_heads: number;
    readonly num_key_value_heads: number;
    readonly intermediate_size: number;
    /** Tokens of text. */
    readonly vocab_size: number;
    readonly rms_norm_eps: number;
    readonly rope_theta: number;
  };
  readonly gen_vision: {
    /** V */
    readonly codebook_size: number;
    readonly codebook_embed_dim: number;
    /** Side of the square grid of tokens. */
    readonly grid: number;
  };
  /** Width inside the head. */
  readonly image_token_embed: number;
  /** Layers from a code's embedding to the language model's width; default 2. */
  readonly aligner_depth?: number;
  /** Text token that stands for what is left out. */
  readonly pad_id: number;
}

const LLAMA = { vocab_size: 102400, rms_norm_eps: 1e-6, rope_theta: 10000 } as const;

/** Sizes of the published models. Source: `config.json` of deepseek-ai/Janus-Pro-1B and Janus-Pro-7B. */
export const JANUS_SIZES = {
  "Janus-Pro-1B": {
    hidden_size: 2048,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    intermediate_size: 5632,
    ...LLAMA,
  },
  "Janus-Pro-7B": {
    hidden_size: 4096,
    num_hidden_layers: 30,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    intermediate_size: 11008,
    ...LLAMA,
  },
} as const;

/** Published sizes of Janus-Pro. */
export type JanusSize = keyof typeof JANUS_SIZES;

/** Config of a published size: 24 × 24 tokens of 16384 codes. */
export function janusConfig(size: JanusSize): JanusConfig {
  const language = JANUS_SIZES[size];
  const gen_vision = { codebook_size: 16384, codebook_embed_dim: 8, grid: 24 };
  return { language, gen_vision, image_token_embed: language.hidden_size, aligner_depth: 2, pad_id: 100002 };
}

/** @throws TensorARError when the config describes no model */
export function checkJanusConfig(config: JanusConfig): void {
  const { language, gen_vision, image_token_embed, aligner_depth = 2, pad_id } = config;
  const refuse = (what: string): never => {
    throw new TensorARError(`janus: ${what}`);
  };
  if (typeof language !== "object" || typeof gen_vision !== "object") refuse("language or gen_vision is missing");
  const { rms_norm_eps, rope_theta, hidden_size, num_hidden_layers, intermediate_size, vocab_size } = language;
  const { num_attention_heads, num_key_value_heads } = language;
  const { codebook_size, codebook_embed_dim, grid } = gen_vision;
  const counts = {
    hidden_size,
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    intermediate_size,
    vocab_size,
    codebook_size,
    codebook_embed_dim,
    grid,
    image_token_embed,
    aligner_depth,
  };
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) refuse(`${key} = ${quote(value)}; use a positive integer`);
  }
  expectBelow("janus", { num_hidden_layers, aligner_depth }, MOST_LAYERS);
  expectBelow("janus", { grid }, Math.sqrt(MOST_TOKENS));
  for (const [key, value] of Object.entries({ rms_norm_eps, rope_theta })) {
    if (!(value > 0 && Number.isFinite(value))) refuse(`${key} = ${quote(value)}; use a positive number`);
  }
  if (!(Number.isInteger(pad_id) && pad_id >= 0 && pad_id < vocab_size))
    refuse(`pad_id ${quote(pad_id)} is no token; use 0 … ${vocab_size - 1}`);
  if (hidden_size % (2 * num_attention_heads) !== 0)
    refuse(`hidden_size ${hidden_size} does not make ${num_attention_heads} heads of even width; change one of them`);
  if (num_attention_heads % num_key_value_heads !== 0)
    refuse(
      `num_attention_heads ${num_attention_heads} is not a multiple of num_key_value_heads ${num_key_value_heads}`,
    );
}

/** Shape of every parameter that takes part in generation, by the original's names. */
export function janusShapes(config: JanusConfig): ParameterShapes {
  const { language, gen_vision, image_token_embed, aligner_depth = 2 } = config;
  const { hidden_size: D, intermediate_size } = language;
  const keyWidth = (D / language.num_attention_heads) * language.num_key_value_heads;
  const shapes: Record<string, number[]> = { "language_model.model.embed_tokens.weight": [language.vocab_size, D] };
  for (let layer = 0; layer < language.num_hidden_layers; layer++) {
    const block = `language_model.model.layers.${layer}`;
    Object.assign(shapes, {
      [`${block}.self_attn.q_proj.weight`]: [D, D],
      [`${block}.self_attn.k_proj.weight`]: [keyWidth, D],
      [`${block}.self_attn.v_proj.weight`]: [keyWidth, D],
      [`${block}.self_attn.o_proj.weight`]: [D, D],
      [`${block}.mlp.gate_proj.weight`]: [intermediate_size, D],
      [`${block}.mlp.up_proj.weight`]: [intermediate_size, D],
      [`${block}.mlp.down_proj.weight`]: [D, intermediate_size],
      [`${block}.input_layernorm.weight`]: [D],
      [`${block}.post_attention_layernorm.weight`]: [D],
    });
  }
  shapes["language_model.model.norm.weight"] = [D];
  shapes["gen_embed.weight"] = [gen_vision.codebook_size, gen_vision.codebook_embed_dim];
  const linear = (name: string, outputs: number, inputs: number) =>
    Object.assign(shapes, { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] });
  for (let layer = 0; layer < aligner_depth; layer++)
    linear(`gen_aligner.layers.${2 * layer}`, D, layer === 0 ? gen_vision.codebook_embed_dim : D);
  linear("gen_head.output_mlp_projector", image_token_embed, D);
  linear("gen_head.vision_head", gen_vision.codebook_size, image_token_embed);
  return shapes;
}
