export { expectClose, expectTensor, type Tolerance, type Values, valuesOf } from "./close";
export { hashValues, type WeightRecipe } from "./hash";
export { classConditional, type LlamaGenCase, type LlamaGenJson, llamaGenCases } from "./llamagen";
export {
  type AnyJson,
  type ReferenceCase,
  referenceCases,
  referenceFiles,
  referenceFolder,
  requireCases,
} from "./reference";
export type { StoredTensor } from "./safetensors";
export { TINY_VQ } from "./tiny-vq";
