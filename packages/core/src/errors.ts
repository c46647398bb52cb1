/** Present on every {@link TensorARError}, of whichever copy of this package. */
const BRAND = Symbol.for("@tensorar/error");

/**
 * What kind of thing went wrong:
 * - `invalid`: an argument, a setting or the contents of a file are not right
 * - `shape`: a tensor or image has another shape than is needed
 * - `missing`: a file, a key or an optional package is not there
 * - `exists`: something is there that would be replaced
 * - `io`: the system refused to read or write
 * - `unsupported`: valid, but not something that can be done here
 * - `limit`: larger than a stated limit
 * - `locked`: another process works on it
 */
export type ErrorCode = "invalid" | "shape" | "missing" | "exists" | "io" | "unsupported" | "limit" | "locked";

/** What an error is and what led to it. */
export interface TensorARErrorOptions extends ErrorOptions {
  /** Default: `invalid`. */
  readonly code?: ErrorCode;
}

/**
 * Every error that TensorAR's packages throw on purpose: the message names the file, argument or tensor, its value and what
 * would be right. `instanceof` also recognises errors of another copy or version of this package, so two copies in one
 * bundle don't hide errors from each other.
 */
export class TensorARError extends Error {
  override readonly name: string = "TensorARError";
  readonly code: ErrorCode;
  readonly [BRAND] = true as const;

  constructor(message: string, { code = "invalid", ...options }: TensorARErrorOptions = {}) {
    super(message, options);
    this.code = code;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

/** A tensor or image whose shape does not fit: a {@link TensorARError} with code `shape`. */
export class ShapeError extends TensorARError {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "shape" });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof TensorARError && value.code === "shape";
  }
}

/** `value` as JSON, cut to a length that fits a message: names and headers of hostile files can be megabytes. */
export function quote(value: unknown): string {
  const text = toText(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function toText(value: unknown): string {
  if (typeof value === "number") return String(value); // JSON makes null of NaN and infinities
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value === "object" ? "an object that nests too deep" : String(value); // or a bigint
  }
}
