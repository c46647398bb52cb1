export { ShapeError, TensorARError } from "@tensorar/core";
export {
  adaptiveWeight,
  adversarialWeight,
  type DiscriminatorLoss,
  discriminatorLoss,
  type GeneratorLoss,
  generatorLoss,
} from "./adversarial/losses";
export {
  type Discriminated,
  discriminate,
  initPatchGan,
  isStatistic,
  type PatchGanConfig,
  patchGanShapes,
} from "./adversarial/patchgan";
export {
  type Adversary,
  type AdversaryLosses,
  adversaryLosses,
  type PerceptualDistance,
  type VqGanLosses,
  type VqGanOptions,
  vqGanLosses,
  vqGanWeight,
} from "./adversarial/vq-gan";
export { checkTokenizerTensors, checkVqTensors } from "./check-tensors";
export { downsampleOf, gridOf, type VqConfig } from "./config";
export { parseTokenizer, type TokenizerDescription, type TokenizerFolder } from "./description";
export type { Encoding } from "./encoding";
export type { ImageSize } from "./grid";
export { initTokenizer, initVq } from "./init";
export type { ParameterShapes } from "./layers";
export { type Magvit2Config, OPEN_MAGVIT2_16 } from "./magvit2/config";
export { magvit2Shapes } from "./magvit2/layers";
export { joinCodes, type LfqLosses, type LfqLossWeights, lfqLosses, splitCodes } from "./magvit2/lfq";
export { decodeMagvit2, encodeMagvit2 } from "./magvit2/magvit2";
export { MASKGIT_VQGAN_16, type MaskgitConfig } from "./maskgit/config";
export { maskgitShapes } from "./maskgit/layers";
export { decodeMaskgit, encodeMaskgit, maskgitQuantizerLoss } from "./maskgit/maskgit";
export { type Params, withoutPrefix } from "./parameters";
export { type TokenizerPrograms, tokenizerPrograms } from "./programs";
export {
  createTokenizer,
  TOKENIZER_KINDS,
  type Tokenizer,
  type TokenizerConfigs,
  type TokenizerKind,
  type TokenizerSpec,
} from "./tokenizer";
export { type TokenizerLosses, type TrainableSpec, tokenizerLosses } from "./trainable";
export { codebookUsage, countCodes, emptyUsage, recordCodes, USAGE_WINDOW } from "./usage";
export { decodeVq, type Encoded, encodeVq, type ReconstructionWeights, type VqLosses, vqLosses } from "./vq";
export { vqShapes } from "./vq-layers";
