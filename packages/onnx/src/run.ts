export { type Nested, TensorARError, type TensorData } from "@tensorar/core";
export { fromFloat16, toFloat16 } from "./float16";
export { ignoreUnread } from "./ignore-unread";
export type { Port } from "./model";
export { type CompiledFunction, openModel, type Runtime, type RuntimeOptions } from "./session";
export type { BackendTensor, Feed } from "./tensordata";
