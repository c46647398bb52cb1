export { type Nested, TensorARError, type TensorData, type TensorSpec } from "@tensorar/core";
export type { AnyProgram, HostTensors, Program, Spec, Tensors } from "@tensorar/program";
export {
  type CallInputs,
  type CallOutputs,
  type Compiled,
  type CompileOptions,
  compile,
  type Feeds,
  type StateInputs,
  type StateOutputs,
} from "./compile";
export { type CondParts, cond } from "./cond";
export { fromFloat16, toFloat16 } from "./float16";
export { ignoreUnread } from "./ignore-unread";
export { type Flush, type LoopOptions, loop } from "./loop";
export type { ComposedModel, OnnxModel, Port } from "./model";
export type { FusionTarget } from "./passes/fuse";
export type { Quantization } from "./passes/quantize";
export { type CompiledProgram, compileProgram, traceProgram } from "./program";
export { serializeModel } from "./serialize";
export { type CompiledFunction, openModel, type RuntimeOptions } from "./session";
export { type Feed, hostTensor, isBackendTensor, isFeed } from "./tensordata";
export { type TraceOptions, trace } from "./trace";
export { roundWeight, type WeightFormat, weightFormats, withFloatActivations } from "./weight-formats";
