export { type CodebookUsage, codebookUsage } from "./codebook";
export { symmetricEigenvalues } from "./eigen";
export { TensorARError } from "./errors";
export { frechetDistance, type Gaussian } from "./frechet";
export { type InceptionScoreOptions, inceptionScore, softmax } from "./inception-score";
export { createMoments, type Moments, type MomentsResult } from "./moments";
export { type FeatureSet, type PrecisionRecall, precisionRecall } from "./precision-recall";
export { psnr } from "./psnr";
export { type RefinementShape, type RefinementStatistics, refinementStatistics } from "./refinement";
