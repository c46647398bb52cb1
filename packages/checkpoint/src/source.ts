/** Bytes that are read by ranges: a file, or memory. */
export interface ByteSource {
  /** Path or other name, for messages. */
  readonly name: string;
  readonly size: number;
  /** The bytes from `begin` up to `end`, both inside the source, in an array of their own that starts its buffer. */
  read(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The source of bytes that are in memory already. */
export const memorySource = (bytes: Uint8Array, name: string): ByteSource => ({
  name,
  size: bytes.byteLength,
  read: async (begin, end) => Uint8Array.prototype.slice.call(bytes, begin, end), // a Buffer's own slice is a view
  close: async () => undefined,
});
