export {
  bfloat16ToFloat32,
  castTensor,
  type FloatDType,
  float32ToBfloat16,
  float32ToHalf,
  halfToFloat32,
  toFloat32,
} from "./cast";
export { TensorARError } from "./errors";
export { parseSafetensors, serializeSafetensors } from "./safetensors/codec";
export type { DType, TensorData, TensorRecord, TypedArray } from "./tensor";
