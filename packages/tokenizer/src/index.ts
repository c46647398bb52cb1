export { checkVqTensors } from "./check-tensors";
export { downsampleOf, gridOf, type VqConfig } from "./config";
export { ShapeError, TensorARError } from "./errors";
export { initVq } from "./init";
export { vqShapes } from "./layers";
export type { Params } from "./parameters";
export { codebookUsage, countCodes, emptyUsage, recordCodes, USAGE_WINDOW } from "./usage";
export { decodeVq, type Encoded, encodeVq, type ReconstructionWeights, type VqLosses, vqLosses } from "./vq";
