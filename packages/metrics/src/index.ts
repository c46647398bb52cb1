export { clipScore } from "./clip-score";
export { type CodebookUsage, codebookUsage } from "./codebook";
export { symmetricEigenvalues } from "./eigen";
export { TensorARError } from "./errors";
export type { FeatureSet } from "./feature-set";
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
export { type InceptionScoreOptions, inceptionScore, softmax } from "./inception-score";
export { type Kid, type KidOptions, kernelDistance } from "./kid";
export { type ManifoldOptions, type ManifoldScores, manifoldScores, type RowProducts } from "./manifold";
export { createMoments, type Moments, type MomentsResult, mergeMoments } from "./moments";
export { type PrecisionRecall, precisionRecall } from "./precision-recall";
export { psnr } from "./psnr";
export { type RefinementShape, type RefinementStatistics, refinementStatistics } from "./refinement";
export { type ImagePairs, ssim } from "./ssim";
