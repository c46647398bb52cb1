import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, PromptInput } from "./backbone";
import { embedCaption, llamaGenDecoder } from "./llamagen";
import { type Params, parameter } from "./parameters";
import { PROMPT_CONDITION, type PromptCondition, promptMask } from "./prompt-condition";
import { expectShape } from "./shapes";
import { t5Encoder } from "./t5";
import {
  checkTextLlamaGenConfig,
  decoderConfig,
  ENCODER,
  type TextLlamaGenConfig,
  textLlamaGenShapes,
} from "./text-llamagen-config";
import { tidy } from "./tidy";

// R rows · P prompt tokens · D width

export { initTextLlamaGen, type TextLlamaGenConfig } from "./text-llamagen-config";

/**
 * LlamaGen's decoder behind a text encoder of its own: prompts are tokens, the encoder's features are projected as LlamaGen does
 * with captions and stand before the image. Both are one model, trained together. "None" for guidance is the prompt with all but
 * its first and last token replaced by `pad_id`, which training shows it as often as prompts are dropped.
 *
 * Source: `autoregressive/models/gpt.py` of FoundationVision/LlamaGen. Differs: as many positions stand before the image as the prompt
 * has tokens, and their queries and keys do not vanish, so that codes can look for single words.
 *
 * @throws TensorARError when the config describes no model
 */
export function textLlamaGen(
  config: TextLlamaGenConfig,
): Backbone<PromptCondition> & { readonly prompts: PromptInput } {
  checkTextLlamaGenConfig(config);
  const encoder = t5Encoder(config.encoder);
  const shapes = textLlamaGenShapes(config);
  const weight = <T extends tf.Tensor>(params: Params, name: string) => parameter<T>(params, name, shapes[name]!);
  const names = Object.keys(encoder.shapes);
  const encoderParams = (params: Params): Params =>
    Object.fromEntries(names.map((name) => [name, weight(params, `${ENCODER}${name}`)]));

  return {
    ...llamaGenDecoder(decoderConfig(config), weight, {
      vanishing: false,
      /** All positions of the prompt have the first row, the image's follow. */
      rows: (positions, { prompt }: PromptCondition) =>
        tf.maximum(tf.sub(positions, tf.sub(countTokens(prompt), tf.scalar(1, "int32"))), tf.scalar(0, "int32")),
    }),
    conditionPositions: undefined,
    condition: PROMPT_CONDITION,
    unconditionalClass: -1,
    prompts: {
      vocabSize: config.encoder.vocab_size,
      padId: config.pad_id,
      template: "{}",
      maxTokens: config.max_prompt,
      ownVocabulary: true,
    },
    shapes,

    embedCondition: (params, { prompt, mask }) =>
      tidy(() => {
        expectShape("embedCondition", "prompt", prompt, ["R", "P"]);
        return embedCaption(weight, params, encoder.encode(encoderParams(params), { ids: prompt, mask })); // [R, P, D]
      }),

    conditionMask: promptMask,
  };
}

/** P of prompts [R, P], counted, so that it may be symbolic in a traced graph: int32 [1]. */
const countTokens = (prompt: tf.Tensor): tf.Tensor => tf.sum(tf.onesLike(tf.slice(prompt, [0, 0], [1, -1])), 1);
