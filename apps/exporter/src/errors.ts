/** Bad input or a bad environment: the message names the thing, its value and the remedy; the CLI prints it without a stack. */
export class TensorARError extends Error {
  override readonly name = "TensorARError";
}
