/** Thrown by every check of this package; the message names the thing, its value and what would be right. */
export class TensorARError extends Error {
  override readonly name: string = "TensorARError";
}

/** A tensor or image whose shape does not fit. */
export class ShapeError extends TensorARError {}
