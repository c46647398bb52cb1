import { promptOf } from "./prompt-condition";

/**
 * What Janus-Pro reads before it makes an image of a description, which takes the place of `{}`: one turn of its conversation
 * template `deepseek` and the tag that begins an image. Tokenize it with the model's own tokenizer, which puts its first token
 * before it.
 * Source: `generation_inference.py`, `janus/utils/conversation.py` and `janus/models/processing_vlm.py` of
 * deepseek-ai/Janus.
 */
export const JANUS_TEMPLATE = "<|User|>: {}\n\n<|Assistant|>:<begin_of_image>";

/** {@link JANUS_TEMPLATE} of a description. */
export const janusPrompt = (description: string): string => promptOf(JANUS_TEMPLATE, description);
