import { quote, TensorARError } from "@tensorar/core";
import { expectBelow, MOST_TOKENS } from "./limits";
import { type LlamaGenConfig, llamaGenShapes } from "./llamagen-config";
import { type Initial, initialise, type ParameterShapes, type Params } from "./parameters";
import { BIAS, checkT5Config, type T5Config, t5Shapes } from "./t5-config";

/** LlamaGen's decoder, and a text encoder that is trained with it. */
export interface TextLlamaGenConfig {
  /** Of T5's form. */
  readonly encoder: T5Config;
  /** LlamaGen's keys; those of its condition are not there. */
  readonly decoder: Omit<
    LlamaGenConfig,
    "model_type" | "num_classes" | "cls_token_num" | "class_dropout_prob" | "caption_dim"
  >;
  /** Tokens of a prompt; longer ones lose their end. */
  readonly max_prompt: number;
  /** Text token of padding. */
  readonly pad_id: number;
}

/** Before the names of the encoder's parameters. */
export const ENCODER = "text_encoder.";

/** The decoder as LlamaGen's text-conditional model describes it: `C` = 1, since prompts have any length. */
export const decoderConfig = ({ encoder, decoder }: TextLlamaGenConfig): LlamaGenConfig => ({
  ...decoder,
  model_type: "t2i",
  num_classes: 1,
  cls_token_num: 1,
  class_dropout_prob: 0,
  caption_dim: encoder.d_model,
});

/** @throws TensorARError when the config describes no model */
export function checkTextLlamaGenConfig({ encoder, decoder, max_prompt, pad_id }: TextLlamaGenConfig): void {
  const refuse = (what: string): never => {
    throw new TensorARError(`textLlamaGen: ${what}`);
  };
  if (typeof encoder !== "object" || typeof decoder !== "object") refuse("encoder or decoder is missing");
  checkT5Config(encoder);
  if (!Number.isInteger(max_prompt) || max_prompt < 3)
    refuse(
      `max_prompt = ${quote(max_prompt)}; use an integer from 3, since a token begins each prompt and one ends it`,
    );
  expectBelow("textLlamaGen", { max_prompt }, MOST_TOKENS);
  if (!(Number.isInteger(pad_id) && pad_id >= 0 && pad_id < encoder.vocab_size))
    refuse(`pad_id ${quote(pad_id)} is no token; use 0 … ${encoder.vocab_size - 1}`);
}

/** Shape of every parameter: the encoder's under `text_encoder.`, the decoder's by LlamaGen's names. */
export function textLlamaGenShapes(config: TextLlamaGenConfig): ParameterShapes {
  const encoder = Object.entries(t5Shapes(config.encoder)).map(([name, shape]) => [`${ENCODER}${name}`, shape]);
  // What stands for none is a prompt of padding, not a vector of its own.
  const { "cls_embedding.uncond_embedding": _, ...decoder } = llamaGenShapes(decoderConfig(config));
  return { ...Object.fromEntries(encoder), ...decoder };
}

/**
 * Fresh parameters: the decoder's as LlamaGen's, the encoder's as T5's, so that attention of its unscaled scores is spread at first.
 * Source: LlamaGen `initialize_weights`; transformers `T5PreTrainedModel._init_weights`. The caller owns the tensors.
 *
 * @param seed integer in [0, 2^53)
 */
export function initTextLlamaGen(config: TextLlamaGenConfig, seed: number): Params {
  const std = config.decoder.initializer_range ?? 0.02;
  return initialise(textLlamaGenShapes(config), seed, (name) => {
    if (name.endsWith("norm.weight")) return "ones";
    if (name.startsWith(ENCODER)) return initialOfEncoder(config.encoder, name.slice(ENCODER.length));
    return name === "output.weight" ? "zeros" : { std };
  });
}

function initialOfEncoder({ d_model, d_kv, num_heads, d_ff }: T5Config, name: string): Initial {
  const root = (inputs: number): Initial => ({ std: 1 / Math.sqrt(inputs) });
  if (name === "shared.weight") return { std: 1 };
  if (name === BIAS) return root(d_model);
  if (name.endsWith("SelfAttention.q.weight")) return root(d_model * d_kv);
  if (name.endsWith("SelfAttention.o.weight")) return root(num_heads * d_kv);
  return root(name.endsWith("wo.weight") ? d_ff : d_model);
}
