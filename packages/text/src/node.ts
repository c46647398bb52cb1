export { openTextTokenizer, TOKENIZER_FILES } from "./tokenizer-files";
