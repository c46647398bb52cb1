export { loadTokenizer, saveTokenizer, type TokenizerDescription, type TokenizerFolder } from "./tokenizer-folder";
