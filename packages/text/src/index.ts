export { cleanCaption } from "./clean-caption";
export { padTokens, type TokenBatch } from "./pad-tokens";
export { createTextTokenizer, type TextTokenizer } from "./tokenizer";
export { type TokenizerContents, wordPieceTokenizer } from "./word-pieces";
