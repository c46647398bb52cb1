export { TensorARError } from "@tensorar/core";
export {
  bfloat16ToFloat32,
  castTensor,
  type FloatDType,
  float32ToBfloat16,
  float32ToHalf,
  halfToFloat32,
  toFloat32,
} from "./cast";
export type { CheckpointFile, TensorInfo } from "./checkpoint-file";
export { parseSafetensors, serializeSafetensors } from "./safetensors/codec";
export type { DType, TensorData, TensorRecord, TypedArray } from "./tensor";
export { openTorchBytes, type TorchFile, type TorchOptions } from "./torch/open";
