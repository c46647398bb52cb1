export { TensorARError } from "@tensorar/core";
export { clipScore, clipScores } from "./clip-score";
export {
  type CodebookCounts,
  type CodebookUsage,
  codebookUsage,
  codebookUsageOf,
  createCodebookCounts,
  mergeCodebookCounts,
} from "./codebook";
export type { RowProducts } from "./distances";
export { symmetricEigenvalues } from "./eigen";
export { type Estimate, estimate } from "./estimate";
export { type FeatureSet, mergeFeatures } from "./feature-set";
export { frechetDistance, type Gaussian } from "./frechet";
export { type ColorEmbeddings, colorClassifier, colorPrompts, embedColors, GENEVAL_COLORS } from "./geneval/colors";
export {
  GENEVAL_TASKS,
  type GenEvalPrompt,
  type GenEvalTask,
  parseGenEval,
  type Requirement,
} from "./geneval/prompts";
export { type ColorsOf, type Detection, type GenEvalResult, genEvalConfidence, scoreGenEval } from "./geneval/score";
export {
  countGenEval,
  type GenEvalCounts,
  type GenEvalScores,
  genEvalScores,
  mergeGenEval,
  summarizeGenEval,
} from "./geneval/summary";
export {
  createInceptionScore,
  type InceptionScore,
  type InceptionScoreOptions,
  type InceptionScoreSums,
  inceptionScore,
  inceptionScoreOf,
  mergeInceptionScores,
  softmax,
} from "./inception-score";
export { type Kid, type KidOptions, kernelDistance, kernelDistanceSteps } from "./kid";
export { type ManifoldOptions, type ManifoldScores, manifoldScores } from "./manifold";
export { createMean, type Mean, type MeanSums, meanOf, mergeMeans } from "./mean";
export { type MemorisedOptions, memorisedFraction } from "./memorised";
export { createMoments, type Moments, type MomentsResult, mergeMoments } from "./moments";
export { type PrecisionRecall, precisionRecall } from "./precision-recall";
export { psnr } from "./psnr";
export {
  createRefinement,
  type Refinement,
  type RefinementShape,
  type RefinementStatistics,
  refinementStatistics,
} from "./refinement";
export { type ImagePairs, ssim } from "./ssim";
