export { TensorARError } from "@tensorar/core";
export { type ClassifierFolder, loadClassifier, saveClassifier } from "./classifier/classifier-folder";
export { type ClassifierRunner, openClassifier } from "./classifier/classifier-runner";
export { type ClassifierTrainingOptions, classifierTask } from "./classifier/classifier-task";
export { type HeldOutComparison, type HeldOutDistances, heldOutComparison } from "./classifier/compare-images";
export {
  classifierAccuracy,
  type Familiarity,
  type FollowingRow,
  instructionFollowing,
} from "./classifier/instruction-following";
export { datasetLabels, type Labels, labelsOfClass, partsOf } from "./classifier/labels";
export {
  type ClassifierConfig,
  classifierDistance,
  classifierShapes,
  classify,
  initClassifier,
  type Part,
} from "./classifier/network";
export { type ColorNetwork, type ColorsFile, openColors, readColorsFile } from "./geneval/colors-file";
export { classesOf, type DetectorFile, openDetector, readDetectorFile } from "./geneval/detector-file";
export { type PromptedImage, promptedImages, readPrompts } from "./geneval/images";
export {
  GENEVAL_FILES,
  type GenEvalRecipe,
  type GenEvalReport,
  type ImageResult,
  mergeResults,
  openResults,
  reportOf,
  writeResults,
} from "./geneval/results";
export { type GenEvalNetworks, type ScoreOptions, scoreImages } from "./geneval/score-images";
export type { ImageTokenizer } from "./image-tokenizer";
export { compareStatistics, type InceptionMetrics } from "./statistics/compare";
export {
  type DepthScores,
  type DraftAblation,
  type DraftAblationOptions,
  draftAblation,
} from "./statistics/draft-ablation";
export { compareFeatures, type Distances, type Features, featuresOf } from "./statistics/features";
export { type InceptionBatch, type InceptionRunner, openInception } from "./statistics/inception-runner";
export { type GatherOptions, gatherStatistics, type InceptionStatistics } from "./statistics/inception-statistics";
export { type Metrics, mergeSums, metricsOf, type ReconstructionSums, writeSums } from "./statistics/reconstruction";
export { mergeStatistics, readStatistics, writeStatistics } from "./statistics/statistics-file";
