export { type DType, TensorARError, type TensorData, type TypedArray } from "@tensorar/core";
export {
  bfloat16ToFloat32,
  castTensor,
  type FloatDType,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  toFloat32,
} from "./cast";
export { type CheckpointFile, contentsOf, type OpenOptions, type TensorInfo } from "./checkpoint-file";
export type { Limits } from "./limits";
export { findParts, isAveraged, isOptimizer, type Match, type Part, type Parts, type WantedShapes } from "./parts";
export { parseSafetensors, serializeSafetensors } from "./safetensors/codec";
export type { TensorRecord } from "./tensor";
export { openTorchBytes, type TorchFile } from "./torch/open";
