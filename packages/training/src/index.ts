export { TensorARError } from "@tensorar/core";
export {
  type CaptionFeatures,
  type CaptionSource,
  hashTexts,
  openCaptionFeatures,
  writeCaptionFeatures,
} from "./conditions/caption-features";
export { loadCaptions } from "./conditions/captions";
export { type EncodedCaptions, encodeCaptions } from "./conditions/encoded-captions";
export { type FittedCodes, fitCodes, matchClasses } from "./conditions/fit-codes";
export { copyPromptTokenizer, openPromptTokenizer, type PromptTokenizer, takesPrompts } from "./conditions/prompts";
export {
  captionTexts,
  classConditions,
  type TrainingConditions,
  trainingConditions,
} from "./conditions/training-conditions";
export { chooseEngine, type EngineOptions } from "./engine/choose-engine";
export type { Engine, InputSpecs, PrepareOptions, Runnable } from "./engine/engine";
export { type LogEntry, readLog } from "./run/run-log";
export { type TrainOptions, train } from "./run/train";
export type { EngineName } from "./settings";
export type { AdversaryOptions } from "./tasks/adversarial-step";
export { type ArSpecs, type ArTraining, type ArTrainingOptions, arTask } from "./tasks/ar-task";
export {
  type DepthMetrics,
  type DraftModeSpecs,
  type DraftModes,
  draftModeFeeds,
  draftModeSpecs,
  draftModes,
} from "./tasks/draft-modes";
export { hostParams } from "./tasks/host-params";
export { initialTrainingState } from "./tasks/initial-state";
export {
  type FinetuneOptions,
  finetuneTask,
  type PretrainOptions,
  pretrainOwnTask,
  pretrainTask,
} from "./tasks/model-tasks";
export type { Noising, NoisingOptions } from "./tasks/noising";
export {
  descend,
  gradientsOf,
  type Optimization,
  type OptimizerOptions,
  optimized,
  type ParameterRates,
} from "./tasks/optimize";
export type { PhaseOptions } from "./tasks/phases";
export type {
  BatchSpecs,
  GradientInputs,
  Gradients,
  SaveOptions,
  StepOutputs,
  StepState,
  TrainingState,
  TrainingTask,
  UpdateInputs,
  Validation,
} from "./tasks/task";
export type { TensorAROptions } from "./tasks/tensorar-form";
export { pretrainTextTask, type TextEncoderSizes } from "./tasks/text-task";
export { type PerceptualLoss, type TokenizerTrainingOptions, tokenizerTask } from "./tasks/tokenizer-task";
