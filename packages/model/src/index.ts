export { ShapeError, TensorARError } from "@tensorar/core";
export { type AdamWOptions, type AdamWState, adamW, initAdamW } from "./adamw";
export { attachTensorAR, type ForwardInputs, type TensorARModel, type TrainingInputs } from "./attach";
export { attention, causalMask, type LayerCache, type LayerPositions } from "./attention";
export type {
  Backbone,
  BodyCache,
  BodyInputs,
  BodyOutput,
  BodyPositions,
  Condition,
  ConditionSpec,
  Dropout,
  Factors,
  PromptInput,
} from "./backbone";
export { layerCaches } from "./cache";
export { refuseChained } from "./chain";
export { checkTensors } from "./check-tensors";
export { emaUpdate } from "./ema";
export { EVIDENCE, evidenceIn } from "./evidence";
export {
  type AdvanceInputs,
  type DecodeInputs,
  type DecodeOutputs,
  type DecodePositionsInputs,
  type EmbeddedPositions,
  type PrefillOutputs,
  packRows,
} from "./generation";
export { lossAndGradients, type Metrics } from "./gradients";
export { janus } from "./janus";
export { JANUS_SIZES, type JanusConfig, type JanusSize, janusConfig, janusShapes } from "./janus-config";
export { janusPrompt } from "./janus-prompt";
export { type CaptionCondition, llamaGen } from "./llamagen";
export {
  initLlamaGen,
  LLAMAGEN_SIZES,
  type LlamaGenConfig,
  type LlamaGenSize,
  llamaGenConfig,
  llamaGenShapes,
  llamaGenTextConfig,
} from "./llamagen-config";
export { type WindowLoss, type WindowLossOptions, windowLoss } from "./loss";
export { magvit2Ar } from "./magvit2";
export {
  initMagvit2Ar,
  MAGVIT2_AR_SIZES,
  type Magvit2ArConfig,
  type Magvit2ArSize,
  magvit2ArConfig,
  magvit2ArShapes,
} from "./magvit2-config";
export {
  BASE_FORM,
  type LoadedModel,
  MODEL_FOLDER,
  type ModelDescription,
  type ModelFolder,
  modelOf,
  type OwnBackbone,
  type OwnConfig,
  parseModel,
} from "./model-description";
export {
  type Evidence,
  type ModuleSizes,
  moduleShapes,
  moduleSizes,
  type OutputStructure,
  type TensorAROptions,
} from "./modules";
export {
  countParameters,
  type InitOptions,
  initParameters,
  type ParameterShapes,
  type Params,
  toParams,
} from "./parameters";
export {
  type ConditionSpecs,
  conditionSpecs,
  type DecodePositionsSpecs,
  type DecodeSizes,
  type DecodeSpecs,
  decodeSpecs,
  factorSpecs,
  type ModelPrograms,
  modelPrograms,
  type PackedOutputs,
  type PrefillSpecs,
  type UpdatedCache,
} from "./programs";
export { PROMPT_CONDITION, type PromptCondition, promptOf } from "./prompt-condition";
export { type RarForwardInputs, rar, rarForward } from "./rar";
export { initRar, RAR_SIZES, type RarConfig, type RarSize, rarConfig, rarShapes } from "./rar-config";
export { type SelfWindowsInputs, sampleFromLogits, selfWindows } from "./self-windows";
export { joinTokens, splitTokens } from "./sub-tokens";
export { type T5Encoder, type T5Inputs, t5Encoder } from "./t5";
export { T5_SIZES, type T5Config, type T5Size, t5Shapes } from "./t5-config";
export { initTextLlamaGen, textLlamaGen } from "./text-llamagen";
export { type TextLlamaGenConfig, textLlamaGenShapes } from "./text-llamagen-config";
