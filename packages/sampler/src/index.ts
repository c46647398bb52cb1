export { type FactorInputs, TensorARError } from "@tensorar/core";
export {
  type CachedDecoderOptions,
  cachedDecoder,
  type PositionsInputs,
  type PrefillOutputs,
  type Runs,
  type StepInputs,
  type StepOutputs,
  type StepTensor,
} from "./cached-decoder";
export { type Categorical, createCategorical } from "./categorical";
export {
  type Caption,
  type Conditioning,
  type ConditionTensors,
  captionFeatures,
  classLabels,
  promptTokens,
} from "./conditioning";
export type { Decoder, DecodeSession } from "./decoder";
export {
  type DeviceResidentDecoderOptions,
  type DeviceResidentStep,
  deviceResidentDecoder,
} from "./device-resident-decoder";
export type { DraftPolicy, DraftTemperature } from "./drafts";
export type { Draws } from "./draw";
export { type Generated, type GenerateStep, generate, type Traced } from "./generate";
export { type Guidance, scaleAt } from "./guidance";
export type { CacheShape } from "./kv-cache";
export type { LeaveOneOut } from "./leave-one-out";
export type { GenerateOptions, PerFactor } from "./options";
export type { NamedOutputs, OutputTensor } from "./outputs";
export { PRESETS, type Preset } from "./presets";
export { streamName } from "./random";
export type { SamplingOptions } from "./sampling-options";
