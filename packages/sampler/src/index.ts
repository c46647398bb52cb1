export {
  type CachedDecoderOptions,
  type Conditioning,
  type ConditionTensors,
  cachedDecoder,
  classLabels,
  type PrefillOutputs,
  type StepInputs,
  type StepOutputs,
  type TensorData,
} from "./cached-decoder";
export { type Categorical, createCategorical, type SamplingOptions } from "./categorical";
export type { Decoder, DecodeSession } from "./decoder";
export type { DraftPolicy } from "./drafts";
export { TensorARError } from "./errors";
export { type Generated, type GenerateOptions, type GenerateStep, generate } from "./generate";
export { type Guidance, scaleAt } from "./guidance";
export type { CacheShape } from "./kv-cache";
export { PRESETS, type Preset } from "./presets";
