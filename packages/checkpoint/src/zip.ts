import { quote, RECOGNIZED_BYTES, recognize, TensorARError } from "@tensorar/core";
import type { ByteSource } from "./source";

// The part of the ZIP format that torch.save and numpy.savez write: entries that are stored, or deflated where the caller
// takes them, found by the central directory, with the 64-bit fields of large files. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT

/** A file in the archive, as the central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  /** Of its contents. */
  readonly bytes: number;
  /** Of what lies in the archive: the same unless it is deflated. */
  readonly packed: number;
  readonly deflated: boolean;
  /** Why it can't be read: encrypted, or compressed in a way that is not known. */
  readonly refused: string | undefined;
  readonly crc: number;
  /** First byte of its local header, from the start of the archive. */
  readonly offset: number;
}

export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Position of the first byte of an entry's contents. @throws TensorARError for an entry that can't be read */
  locate(entry: ZipEntry): Promise<number>;
}

const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR_SIGNATURE = 0x07064b50;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END64_BYTES = 56;
const LOCATOR_BYTES = 20;
const MAX_COMMENT_BYTES = 0xffff;
const FULL_32 = 0xffff_ffff;
const ZIP64 = 1;
const ENCRYPTED = 1;
const STORED = 0;
const DEFLATED = 8;

/** About half a million entries; the largest published models have a few thousand. */
const MAX_DIRECTORY_BYTES = 2 ** 26;

/** Entries that are looked at to tell how much of a file is missing. */
const MAX_WALKED = 10_000;

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface ZipOptions {
  /** Whether entries may be deflated; torch.save never does. */
  readonly deflated?: boolean;
}

/**
 * Reads the central directory.
 * @throws TensorARError on what torch.save and numpy do not write; entries that can't be read are refused when they are located
 */
export async function openZip(source: ByteSource, { deflated = false }: ZipOptions = {}): Promise<ZipArchive> {
  const { count, offset, bytes } = await findDirectory(source);
  if (bytes > MAX_DIRECTORY_BYTES) {
    throw new TensorARError(
      `${source.name}: a zip directory of ${bytes} bytes is over the limit of ${MAX_DIRECTORY_BYTES}`,
      { code: "limit" },
    );
  }
  const entries = parseDirectory(await source.read(offset, offset + bytes), count, offset, source.name, deflated);
  return { entries, locate: (entry) => locate(source, entry, offset) };
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A 64-bit number; Infinity beyond 2^53, which every check of a range then refuses. */
function uint64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.POSITIVE_INFINITY;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const tailBegin = Math.max(0, source.size - END_BYTES - MAX_COMMENT_BYTES - LOCATOR_BYTES);
  const tail = viewOf(await source.read(tailBegin, source.size));
  const end = findEnd(tail);
  if (end === undefined) {
    throw await notWhole(source);
  }
  let directory: Directory = {
    count: tail.getUint16(end + 10, true),
    bytes: tail.getUint32(end + 12, true),
    offset: tail.getUint32(end + 16, true),
  };
  let follows = tailBegin + end; // what must come right after the directory
  // PyTorch writes the 64-bit records for small files too.
  const locator = end - LOCATOR_BYTES;
  if (locator >= 0 && tail.getUint32(locator, true) === LOCATOR_SIGNATURE) {
    follows = uint64(tail, locator + 8);
    directory = await readEnd64(source, follows, tailBegin + locator);
  } else if (tail.getUint16(end + 4, true) !== 0 || tail.getUint16(end + 6, true) !== 0) {
    throw new TensorARError(`${source.name}: this is one part of a zip file in several parts; join them first`);
  }
  if (directory.offset + directory.bytes !== follows) {
    const found = `the zip directory at byte ${directory.offset}, ${directory.bytes} long`;
    throw new TensorARError(`${source.name}: ${found}, should end at byte ${follows}; fetch the file again`);
  }
  return directory;
}

/** The directory is at the end: entries, which say their sizes, tell how much is missing at least. */
async function notWhole(source: ByteSource): Promise<TensorARError> {
  const first = await source.read(0, Math.min(RECOGNIZED_BYTES, source.size));
  const found = recognize(first);
  if (found?.kind !== "zip") {
    const is = found
      ? `it is ${found.what}, not a zip file; ${found.remedy}`
      : "it does not begin as a zip file does; fetch it again";
    return new TensorARError(`${source.name}: ${is}`);
  }
  let end = 0;
  for (let entries = 0; entries < MAX_WALKED && end + LOCAL_BYTES <= source.size; entries++) {
    const header = viewOf(await source.read(end, end + LOCAL_BYTES));
    if (header.getUint32(0, true) !== LOCAL_SIGNATURE) break;
    const extraAt = end + LOCAL_BYTES + header.getUint16(26, true);
    const extraEnd = extraAt + header.getUint16(28, true);
    const [bytes, packed] = [header.getUint32(22, true), header.getUint32(18, true)];
    let length = packed;
    if (packed === FULL_32 || bytes === FULL_32) {
      if (extraEnd > source.size) break;
      const extra = viewOf(await source.read(extraAt, extraEnd));
      if (extra.byteLength < 20 || extra.getUint16(0, true) !== ZIP64) break;
      length = uint64(extra, 12); // the unpacked size comes first
    }
    end = extraEnd + length;
  }
  const missing = end > source.size ? `at least ${end - source.size} bytes are missing` : "its directory is missing";
  return new TensorARError(
    `${source.name}: this zip file was cut off after ${source.size} bytes: ${missing}; fetch it again`,
  );
}

/** Position of the end record: the last signature whose comment ends where the file does. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END_SIGNATURE) continue;
    if (at + END_BYTES + tail.getUint16(at + 20, true) === tail.byteLength) return at;
  }
  return undefined;
}

async function readEnd64(source: ByteSource, offset: number, limit: number): Promise<Directory> {
  if (offset + END64_BYTES > limit) {
    throw new TensorARError(
      `${source.name}: the 64-bit end record at byte ${offset} is outside the file; fetch it again`,
    );
  }
  const view = viewOf(await source.read(offset, offset + END64_BYTES));
  if (view.getUint32(0, true) !== END64_SIGNATURE) {
    throw new TensorARError(`${source.name}: there is no 64-bit end record at byte ${offset}; fetch the file again`);
  }
  return { count: uint64(view, 32), bytes: uint64(view, 40), offset: uint64(view, 48) };
}

function parseDirectory(
  bytes: Uint8Array,
  count: number,
  limit: number,
  source: string,
  deflated: boolean,
): Map<string, ZipEntry> {
  const view = viewOf(bytes);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  while (at < bytes.byteLength) {
    const damaged = `${source}: entry ${entries.size} of the zip directory`;
    if (at + CENTRAL_BYTES > bytes.byteLength || view.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw new TensorARError(`${damaged} is damaged; fetch the file again`);
    }
    const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > bytes.byteLength) throw new TensorARError(`${damaged} goes past its end; fetch the file again`);
    const name = decodeName(decoder, bytes.subarray(at + CENTRAL_BYTES, nameEnd), damaged);
    const entry = parseEntry(view, at, { nameEnd, extraEnd }, name, source, deflated);
    if (entry.offset + LOCAL_BYTES + entry.packed > limit) {
      throw new TensorARError(
        `${source}: ${quote(name)}, ${entry.packed} bytes at ${entry.offset}, goes past byte ${limit}; fetch it again`,
      );
    }
    if (entries.has(name)) throw new TensorARError(`${source}: ${quote(name)} is there twice; save the file again`);
    entries.set(name, entry);
    at = next;
  }
  if (entries.size !== count) {
    throw new TensorARError(`${source}: the zip directory holds ${entries.size} entries, not ${count}; fetch it again`);
  }
  return entries;
}

function decodeName(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array, damaged: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new TensorARError(`${damaged} has a name that is not UTF-8; save the file again`, { cause });
  }
}

function parseEntry(
  view: DataView,
  at: number,
  extra: { readonly nameEnd: number; readonly extraEnd: number },
  name: string,
  source: string,
  deflated: boolean,
): ZipEntry {
  const method = view.getUint16(at + 10, true);
  const isStored = method === STORED;
  let refused: string | undefined;
  if (!isStored && !(deflated && method === DEFLATED))
    refused = `is compressed (method ${method}), which is not read here; unpack the file and pack it without compression (zip -0)`;
  if (view.getUint16(at + 8, true) & ENCRYPTED) refused = "is encrypted; decrypt the file first";
  const large = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  const [bytes, packed, offset] = large.includes(FULL_32) ? replaceLarge(view, large, extra, name, source) : large;
  if (isStored && bytes !== packed) {
    throw new TensorARError(`${source}: ${quote(name)} has ${packed} bytes packed, ${bytes} unpacked; fetch it again`);
  }
  const crc = view.getUint32(at + 16, true);
  return { name, bytes: bytes!, packed: packed!, deflated: method === DEFLATED, refused, crc, offset: offset! };
}

/** Fields that are all ones stand in the 64-bit extra field instead, in this order. */
function replaceLarge(
  view: DataView,
  fields: readonly number[],
  { nameEnd, extraEnd }: { readonly nameEnd: number; readonly extraEnd: number },
  name: string,
  source: string,
): number[] {
  for (let at = nameEnd; at + 4 <= extraEnd; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === ZIP64 && end <= extraEnd) {
      let next = at + 4;
      const missing = fields.filter((field) => field === FULL_32).length;
      if (next + 8 * missing > end) break;
      return fields.map((field) => {
        if (field !== FULL_32) return field;
        next += 8;
        return uint64(view, next - 8);
      });
    }
    at = end;
  }
  throw new TensorARError(`${source}: ${quote(name)} lacks its 64-bit sizes; fetch the file again`);
}

async function locate(source: ByteSource, entry: ZipEntry, limit: number): Promise<number> {
  if (entry.refused !== undefined)
    throw new TensorARError(`${source.name}: ${quote(entry.name)} ${entry.refused}`, { code: "unsupported" });
  const header = viewOf(await source.read(entry.offset, entry.offset + LOCAL_BYTES));
  const begin = entry.offset + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL_SIGNATURE || begin + entry.packed > limit) {
    throw new TensorARError(`${source.name}: the header of ${quote(entry.name)} is damaged; fetch the file again`);
  }
  return begin;
}
