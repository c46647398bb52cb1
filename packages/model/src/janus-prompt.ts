/**
 * What Janus-Pro reads before it makes an image of a description: one turn of its conversation template `deepseek` and
 * the tag that begins an image. Tokenize it with the model's own tokenizer, which puts its first token before it.
 * Source: `generation_inference.py`, `janus/utils/conversation.py` and `janus/models/processing_vlm.py` of
 * deepseek-ai/Janus.
 */
export const janusPrompt = (description: string): string =>
  `<|User|>: ${description}\n\n<|Assistant|>:<begin_of_image>`;
