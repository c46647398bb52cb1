export { type ErrorCode, quote, ShapeError, TensorARError, type TensorARErrorOptions } from "./errors";
export { describeIssues, type Issue } from "./issues";
export { RECOGNIZED_BYTES, type Recognized, recognize } from "./recognize";
export { decodeText, parseJson, splitLines } from "./text";
