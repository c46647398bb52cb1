import { type ParameterShapes, type Params, type T5Config, t5Encoder } from "@tensorar/model";
import { int32, type Program } from "@tensorar/program";
import type * as tf from "@tensorflow/tfjs-core";

// B texts · T tokens · D width

/** A text encoder as pure functions of tokens: `t5Encoder` of `@tensorar/model` makes one. */
export interface TokenEncoder {
  /** D */
  readonly width: number;
  /** Tokens are smaller than this. */
  readonly vocabSize: number;
  /** Shape of every parameter by name. */
  readonly shapes: ParameterShapes;
  /**
   * @param inputs ids int32 [B, T], padded on either side to one length; mask int32 [B, T]: 1, or 0 where a token is padding
   * @returns [B, T, D]; what stands at padding has no meaning
   */
  encode(params: Params, inputs: { readonly ids: tf.Tensor; readonly mask: tf.Tensor }): tf.Tensor;
}

/** Encoders whose functions are known, by kind; each checks its configuration. */
export const TOKEN_ENCODERS = {
  t5: (config: T5Config): TokenEncoder => t5Encoder(config),
} as const;

const TOKENS = { ids: int32("batch", "tokens"), mask: int32("batch", "tokens") };

/** What a text encoder does for texts of any number and length. */
export type TextEncoderProgram = Program<typeof TOKENS, { readonly features: tf.Tensor }>;

/** The program of an encoder with these parameters, which are borrowed: dispose of them when it is not used any more. */
export const textEncoderProgram = (encoder: TokenEncoder, weights: Params): TextEncoderProgram => ({
  name: "text-encoder",
  inputs: TOKENS,
  weights,
  run: (tokens) => ({ features: encoder.encode(weights, tokens) }),
});
