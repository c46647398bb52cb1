import { TensorARError } from "@tensorar/core";

/** The bytes at hand end before the pickle does: it was cut off, or more of the file must be read. */
export class PickleEndsEarly extends TensorARError {}

/** Integers of this many bytes are read; the number that marks torch's old format has 10. */
const MAX_INTEGER_BYTES = 256;

/** Reads the arguments of opcodes. */
export class Cursor {
  private readonly view: DataView;
  private readonly text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private advance(length: number): number {
    if (!(length <= this.bytes.byteLength - this.at)) {
      throw new PickleEndsEarly("the pickle ends early; the file was cut off: fetch it again");
    }
    const begin = this.at;
    this.at += length;
    return begin;
  }

  uint8 = (): number => this.bytes[this.advance(1)]!;
  uint16 = (): number => this.view.getUint16(this.advance(2), true);
  uint32 = (): number => this.view.getUint32(this.advance(4), true);
  int32 = (): number => this.view.getInt32(this.advance(4), true);
  float64 = (): number => this.view.getFloat64(this.advance(8), false);
  /** Exact below 2^53; beyond that it exceeds every file anyway. */
  uint64 = (): number => Number(this.view.getBigUint64(this.advance(8), true));

  /** A view, not a copy. */
  take(length: number): Uint8Array {
    const begin = this.advance(length);
    return this.bytes.subarray(begin, begin + length);
  }

  string(length: number): string {
    const bytes = this.take(length);
    try {
      return this.text.decode(bytes);
    } catch (cause) {
      throw new TensorARError("a text in the pickle is not UTF-8; save the file again with Python 3", { cause });
    }
  }

  /** Text up to the end of the line. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new PickleEndsEarly("the pickle ends within a name; the file was cut off: fetch it again");
    const text = this.string(end - this.at);
    this.at = end + 1;
    return text;
  }

  /** Two's complement, little-endian; a bigint where a number would be inexact. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) {
      throw new TensorARError(`an integer of ${length} bytes is over the limit of ${MAX_INTEGER_BYTES}`);
    }
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    value = BigInt.asIntN(8 * length, value);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
}
