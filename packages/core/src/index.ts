export { type ErrorCode, quote, ShapeError, TensorARError, type TensorARErrorOptions } from "./errors";
export { decodeText, parseJson, splitLines } from "./text";
