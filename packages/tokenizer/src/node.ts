export type { TokenizerDescription, TokenizerFolder } from "./description";
export { loadTokenizer, saveTokenizer } from "./tokenizer-folder";
