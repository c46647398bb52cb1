export { type AdamWOptions, type AdamWState, adamW, initAdamW } from "./adamw";
export {
  attachTensorAR,
  type DecodeInputs,
  type DecodeOutputs,
  type ForwardInputs,
  type PrefillOutputs,
  type TensorARModel,
} from "./attach";
export type { Backbone, Condition, ConditionSpec, TrunkCache, TrunkInputs, TrunkOutput } from "./backbone";
export { checkTensors } from "./check-tensors";
export { emaUpdate } from "./ema";
export { ShapeError, TensorARError } from "./errors";
export { lossAndGradients, type Measures } from "./gradients";
export { llamaGen } from "./llamagen";
export {
  initLlamaGen,
  LLAMAGEN_SIZES,
  type LlamaGenConfig,
  type LlamaGenSize,
  llamaGenConfig,
  llamaGenShapes,
} from "./llamagen-config";
export { type WindowLoss, windowLoss } from "./loss";
export { type ModuleSizes, moduleShapes, moduleSizes, type OutputStructure, type TensorAROptions } from "./modules";
export { countParameters, type ParameterShapes, type Params } from "./parameters";
export { type RarForwardInputs, rar, rarForward } from "./rar";
export { initRar, RAR_SIZES, type RarConfig, type RarSize, rarConfig, rarShapes } from "./rar-config";
export { type SelfWindowsInputs, sampleFromLogits, selfWindows } from "./self-windows";
