export { type DecodeInputs, type DecodeSlotsInputs, type FactorInputs, MASK_VALUE } from "./decode-step";
export { type ErrorCode, quote, ShapeError, TensorARError, type TensorARErrorOptions } from "./errors";
export { describeIssues, type Issue } from "./issues";
export { type Entries, flatten, mapLeaves, mapNested, type Nested, unflatten, visitTogether } from "./nested";
export { requireOptions } from "./options";
export { noProgress, type Progress, type StartProgress } from "./progress";
export { RECOGNIZED_BYTES, type Recognized, recognize } from "./recognize";
export { ARRAYS, type Arrays, type DType, type TensorData, type TensorSpec, type TypedArray } from "./tensors";
export { decodeText, parseJson, splitLines } from "./text";
