/** Thrown by every check of this package; the message names the function, the value and what would be right. */
export class TensorARError extends Error {
  override readonly name = "TensorARError";
}
