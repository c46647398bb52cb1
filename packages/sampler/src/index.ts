export { type FactorInputs, TensorARError } from "@tensorar/core";
export {
  type CachedDecoderOptions,
  cachedDecoder,
  type PrefillOutputs,
  type Runs,
  type SlotsInputs,
  type StepInputs,
  type StepOutputs,
  type StepTensor,
} from "./cached-decoder";
export { type Categorical, createCategorical, type SamplingOptions } from "./categorical";
export {
  type Caption,
  type Conditioning,
  type ConditionTensors,
  captionFeatures,
  classLabels,
  promptTokens,
} from "./conditioning";
export type { Decoder, DecodeSession } from "./decoder";
export { type DraftPolicy, streamPurpose } from "./drafts";
export {
  type Generated,
  type GenerateOptions,
  type GenerateStep,
  generate,
  type PerFactor,
  type Traced,
} from "./generate";
export { type Guidance, scaleAt } from "./guidance";
export type { CacheShape } from "./kv-cache";
export type { NamedOutputs, OutputTensor } from "./outputs";
export { PRESETS, type Preset } from "./presets";
export { type ResidentDecoderOptions, type ResidentStep, residentDecoder } from "./resident-decoder";
export { type Speculated, type SpeculateOptions, type SpeculateStep, speculate } from "./speculate";
