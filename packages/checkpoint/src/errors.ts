/** Thrown by every check of this package; the message names the file or tensor, the value and what would be right. */
export class TensorARError extends Error {
  override readonly name = "TensorARError";
}

/** `value` as JSON, cut to a length that fits a message: names and headers of hostile files can be megabytes. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
