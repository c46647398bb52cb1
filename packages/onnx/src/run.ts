export { TensorARError } from "@tensorar/core";
export { fromFloat16, toFloat16 } from "./float16";
export type { Port } from "./model";
export type { Nested } from "./nested";
export { type CompiledFunction, openModel, type Runtime, type RuntimeOptions } from "./session";
export type { BackendTensor, Feed, TensorData } from "./tensordata";
