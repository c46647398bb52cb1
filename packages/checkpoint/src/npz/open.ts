import { Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { type DType, quote, TensorARError, type TensorData } from "@tensorar/core";
import { withSource } from "../files/source";
import { expectWithin, type Limits, limitsOf } from "../limits";
import type { ByteSource } from "../source";
import { bytesPerElement, tensorFromBytes } from "../tensor";
import { openZip, type ZipArchive, type ZipEntry } from "../zip";
import { dataBytes, MAX_HEADER_BYTES, type NumberArray, parseHeader, unsupportedElements } from "./header";

/**
 * A `.npz` file of numpy: arrays by name. `names` lists all of them; asking for one whose elements are not supported, such as
 * texts or Python objects, or that is damaged, throws TensorARError.
 */
export interface NpzFile {
  readonly names: readonly string[];
  info(name: string): { readonly dtype: DType; readonly shape: readonly number[] };
  /** A whole array, in C order whatever the file's. @throws TensorARError also over `limits.arrayBytes` */
  read(name: string): Promise<TensorData>;
  /**
   * The rows of an array, `count` at a time, for arrays larger than memory.
   * @throws TensorARError also for arrays in Fortran order, whose rows are scattered
   */
  rows(name: string, count: number): AsyncGenerator<TensorData>;
  close(): Promise<void>;
}

const EXTENSION = ".npy";
const PIECE_BYTES = 2 ** 22;

interface Stored {
  readonly entry: ZipEntry;
  readonly header: NumberArray;
  readonly where: string;
}

/**
 * Opens a `.npz` file, compressed or not, over 4 GB too. Nothing is unpickled.
 * @throws TensorARError when the file is missing, cut off or no `.npz`
 */
export const openNpz = (
  path: string,
  options: { readonly limits?: Partial<Limits> | undefined } = {},
): Promise<NpzFile> =>
  withSource(path, async (source) => {
    const limits = limitsOf(options.limits);
    const zip = await openZip(source, { deflated: true });
    const arrays = new Map<string, Stored | TensorARError>();
    for (const entry of zip.entries.values()) {
      if (!entry.name.endsWith(EXTENSION)) continue;
      const name = entry.name.slice(0, -EXTENSION.length);
      arrays.set(name, await describe(source, zip, entry, `${source.name}: array ${quote(name)}`));
    }
    if (arrays.size === 0 && zip.entries.size > 0) {
      const held = quote([...zip.entries.keys()].slice(0, 3).join(", "));
      throw new TensorARError(`${path}: it is a zip file that holds ${held}, no .npz of NumPy; give the right file`);
    }
    const find = (name: string): Stored => {
      const found = arrays.get(name);
      if (found instanceof TensorARError) throw found;
      if (found) return found;
      throw new TensorARError(
        `${source.name}: there is no array ${quote(name)}, only ${[...arrays.keys()].join(", ") || "none"}`,
        { code: "missing" },
      );
    };
    return {
      names: [...arrays.keys()],
      info: (name) => find(name).header,
      read: async (name) => readArray(source, zip, find(name), limits),
      rows: (name, count) => readRows(source, zip, find(name), count, limits),
      close: () => source.close(),
    };
  });

/** An array's header, or why it can't be read: that matters only where it is wanted. */
async function describe(
  source: ByteSource,
  zip: ZipArchive,
  entry: ZipEntry,
  where: string,
): Promise<Stored | TensorARError> {
  try {
    const { dtype, ...header } = parseHeader(await beginning(source, zip, entry), where);
    if (dtype === undefined) return unsupportedElements(header.descr, where);
    const bytes = dataBytes({ ...header, dtype }, where);
    if (header.bytes + bytes === entry.bytes) return { entry, header: { ...header, dtype }, where };
    const found = `${entry.bytes - header.bytes} bytes of elements, a shape of [${header.shape}] and ${dtype}`;
    return new TensorARError(`${where}: ${found} do not fit; fetch the file again`);
  } catch (cause) {
    if (cause instanceof TensorARError) return cause;
    throw cause;
  }
}

async function beginning(source: ByteSource, zip: ZipArchive, entry: ZipEntry): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of contents(source, zip, entry, MAX_HEADER_BYTES)) {
    parts.push(part);
    length += part.length;
    if (length >= MAX_HEADER_BYTES) break;
  }
  return Buffer.concat(parts);
}

/** The unpacked bytes of an entry, whose length and checksum are compared at the end. */
async function* contents(
  source: ByteSource,
  zip: ZipArchive,
  entry: ZipEntry,
  piece = PIECE_BYTES,
): AsyncGenerator<Uint8Array> {
  const begin = await zip.locate(entry);
  async function* packed(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < entry.packed; at += piece)
      yield await source.read(begin + at, begin + Math.min(at + piece, entry.packed));
  }
  const damaged = (what: string, cause?: unknown) =>
    new TensorARError(`${source.name}: ${quote(entry.name)} ${what}; fetch the file again`, { cause });
  let [checksum, length] = [0, 0];
  try {
    const parts = entry.deflated ? Readable.from(packed()).pipe(createInflateRaw()) : packed();
    for await (const part of parts as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > entry.bytes) throw damaged(`is longer than the ${entry.bytes} bytes that it should have`);
      checksum = crc32(part, checksum);
      yield part;
    }
  } catch (cause) {
    if (cause instanceof TensorARError) throw cause;
    throw damaged(`can't be unpacked (${(cause as Error).message})`, cause);
  }
  if (length !== entry.bytes) throw damaged(`has ${length} of ${entry.bytes} bytes`);
  if (checksum >>> 0 !== entry.crc) throw damaged("is damaged: its checksum is another");
}

async function readArray(
  source: ByteSource,
  zip: ZipArchive,
  { entry, header, where }: Stored,
  limits: Limits,
): Promise<TensorData> {
  const { dtype, shape, fortran } = header;
  const size = entry.bytes - header.bytes;
  expectWithin(limits, "arrayBytes", size, where);
  const bytes = new Uint8Array(size);
  let at = -header.bytes;
  for await (const part of contents(source, zip, entry)) {
    const skip = Math.max(0, -at);
    if (skip < part.length) bytes.set(part.subarray(skip), at + skip);
    at += part.length;
  }
  const { data } = tensorFromBytes(dtype, shape, bytes);
  return { dtype, shape, data: fortran && shape.length > 1 ? fromFortran(data, shape) : data };
}

async function* readRows(
  source: ByteSource,
  zip: ZipArchive,
  { entry, header, where }: Stored,
  count: number,
  limits: Limits,
): AsyncGenerator<TensorData> {
  const { dtype, shape, fortran } = header;
  const [rows = 1, ...rest] = shape;
  if (fortran && shape.length > 1)
    throw new TensorARError(
      `${where}: it is in Fortran order, so its rows are scattered; save numpy.ascontiguousarray of it`,
    );
  if (!(Number.isInteger(count) && count > 0))
    throw new TensorARError(`${where}: ${count} rows at a time; use 1 or more`);
  const rowBytes = rest.reduce((product, size) => product * size, bytesPerElement(dtype));
  expectWithin(
    limits,
    "arrayBytes",
    Math.min(count, rows) * rowBytes,
    `${where}: a read of ${Math.min(count, rows)} rows`,
  );
  if (rowBytes === 0) throw new TensorARError(`${where}: [${shape}] has rows without elements; read it as a whole`);
  const sizes = { skip: header.bytes, total: rows * rowBytes, most: count * rowBytes };
  for await (const bytes of chunks(contents(source, zip, entry), sizes))
    yield tensorFromBytes(dtype, [bytes.length / rowBytes, ...rest], bytes);
}

/** Bytes in other portions: without the first `skip`, the `total` after them, `most` at a time. */
async function* chunks(
  parts: AsyncIterable<Uint8Array>,
  { skip, total, most }: Readonly<Record<"skip" | "total" | "most", number>>,
): AsyncGenerator<Uint8Array> {
  let [skipped, left, filled] = [0, total, 0];
  let chunk = new Uint8Array(Math.min(most, left));
  for await (const part of parts) {
    let at = Math.min(skip - skipped, part.length);
    skipped += at;
    while (at < part.length) {
      const taken = Math.min(part.length - at, chunk.length - filled);
      chunk.set(part.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < chunk.length) continue;
      yield chunk;
      left -= chunk.length;
      chunk = new Uint8Array(Math.min(most, left));
      filled = 0;
    }
  }
}

/** The first axis runs fastest in `data`; in the result the last one does. */
function fromFortran<T extends TensorData["data"]>(data: T, shape: readonly number[]): T {
  const out = data.slice() as T;
  const index = new Array<number>(shape.length).fill(0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((a, b) => a * b, 1));
  for (let at = 0; at < out.length; at++) {
    out[at] = data[index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0)]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return out;
}
