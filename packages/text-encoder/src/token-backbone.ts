import { MASK_VALUE } from "@tensorar/core";
import type { Backbone, CaptionCondition, Params } from "@tensorar/model";
import * as tf from "@tensorflow/tfjs-core";
import type { TokenEncoder } from "./token-encoder";

// R rows · T positions of a text · D width of its features

/** Texts of a batch, as tokens. */
export interface TokenCondition extends Readonly<Record<string, tf.Tensor>> {
  /** int32 [R, T]: padded on the side on which the model takes features. */
  readonly tokens: tf.Tensor;
  /** float32 [R, T]: 1, or 0 where a token is padding. */
  readonly mask: tf.Tensor;
  /** int32 [R]: 1 where the learned null caption takes the text's place. */
  readonly dropped: tf.Tensor;
}

const PREFIX = "text-encoder.";

/** Parameters of a text encoder, by the names that they have beside those of an image model. */
export const beside = <T>(params: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [`${PREFIX}${name}`, value]));

/** Whether a parameter is that of a text encoder beside an image model. */
export const isOfTextEncoder = (name: string): boolean => name.startsWith(PREFIX);

/**
 * A model of captions and its text encoder as one model of tokens, which can be exported, or trained, as a whole.
 * Its parameters are the model's, and the encoder's under the names of {@link beside}.
 *
 * @param maxLength T
 */
export function withTextEncoder(
  backbone: Backbone<CaptionCondition>,
  encoder: TokenEncoder,
  maxLength: number,
): Backbone<TokenCondition> {
  const ofEncoder = (params: Params): Params =>
    Object.fromEntries(Object.keys(encoder.shapes).map((name) => [name, params[`${PREFIX}${name}`]!]));
  return {
    ...backbone,
    shapes: { ...backbone.shapes, ...beside(encoder.shapes) },
    condition: {
      tokens: { dtype: "int32", shape: [maxLength] },
      mask: { dtype: "float32", shape: [maxLength] },
      dropped: { dtype: "int32", shape: [] },
    },
    embedCondition: (params, { tokens, mask, dropped }) =>
      tf.tidy(() => {
        const features = encoder.encode(ofEncoder(params), { ids: tokens, mask }); // [R, T, D]
        const caption = tf.mul(features, tf.expandDims(mask, 2));
        return backbone.embedCondition(params, { caption, mask, dropped });
      }),
    conditionMask: ({ mask }) => tf.tidy(() => tf.mul(tf.sub(1, mask), MASK_VALUE)),
    body(params, x, { condition, ...inputs }) {
      const { mask, dropped } = condition;
      return backbone.body(params, x, { ...inputs, condition: { caption: mask, mask, dropped } }); // whose layers read none
    },
  };
}
