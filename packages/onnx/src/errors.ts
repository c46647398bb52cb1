/** Every error this package throws on purpose: the message names the thing, the value and the remedy. */
export class TensorARError extends Error {
  override readonly name = "TensorARError";
}
