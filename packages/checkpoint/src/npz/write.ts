import { crc32 } from "node:zlib";
import { type DType, TensorARError, type TensorData, type TypedArray } from "@tensorar/core";
import { type PutBytes, replaceFile } from "@tensorar/core/node";
import { bytesOf } from "../tensor";
import { dataBytes, encodeHeader } from "./header";

/** An array that comes in pieces, in C order. */
export interface RowStream {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly rows: AsyncIterable<TypedArray> | Iterable<TypedArray>;
}

const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR_SIGNATURE = 0x07064b50;
const END_SIGNATURE = 0x06054b50;
const VERSION_64 = 45;
/** 1980-01-01, so that equal arrays make equal files. */
const DATE = 0x0021;
const UTF8 = 0x0800;
const ALL = 0xffffffff;

interface Written {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: bigint;
  readonly offset: bigint;
}

/**
 * Writes a `.npz` file as `numpy.savez` does, uncompressed, atomically; arrays may come in pieces and be larger than memory
 * and than 4 GB.
 *
 * @throws TensorARError when pieces do not add up to their shape, or the system refuses; an old file stays as it was then
 */
export async function writeNpz(path: string, arrays: Readonly<Record<string, TensorData | RowStream>>): Promise<void> {
  await replaceFile(path, async (put) => {
    const written: Written[] = [];
    let at = 0;
    for (const [name, array] of Object.entries(arrays)) {
      const entry = await writeArray(put, at, name, array, `${path}: array "${name}"`);
      written.push(entry.written);
      at = entry.end;
    }
    const directory = Buffer.concat(written.map(centralHeader));
    await put(directory, at);
    await put(endRecords(written.length, directory.length, at), at + directory.length);
  });
}

async function writeArray(put: PutBytes, offset: number, name: string, array: TensorData | RowStream, where: string) {
  const file = new TextEncoder().encode(`${name}.npy`);
  const header = encodeHeader(array);
  const begin = offset + localHeader({ name: file, crc: 0, bytes: 0n, offset: 0n }).length;
  const expected = dataBytes(array, where);
  let at = begin;
  let crc = 0;
  const append = async (bytes: Uint8Array) => {
    if (bytes.length === 0) return; // of which zlib makes a checksum of its own
    await put(bytes, at);
    crc = crc32(bytes, crc);
    at += bytes.length;
  };
  await append(header);
  for await (const data of "rows" in array ? array.rows : [array.data])
    await append(bytesOf({ ...array, data } as TensorData));
  const given = at - begin - header.length;
  if (given !== expected)
    throw new TensorARError(
      `${where}: ${given} bytes of elements for a shape of [${array.shape}], which takes ${expected}`,
    );
  const written: Written = { name: file, crc: crc >>> 0, bytes: BigInt(at - begin), offset: BigInt(offset) };
  await put(localHeader(written), offset);
  return { written, end: at };
}

/** Fixed fields as numbers of 2, 4 or 8 bytes, then other bytes. */
function record(
  fields: readonly (readonly [size: 2 | 4 | 8, value: number | bigint])[],
  ...rest: Uint8Array[]
): Buffer {
  const fixed = Buffer.alloc(fields.reduce((sum, [size]) => sum + size, 0));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) fixed.writeUInt16LE(Number(value), at);
    else if (size === 4) fixed.writeUInt32LE(Number(value), at);
    else fixed.writeBigUInt64LE(BigInt(value), at);
    at += size;
  }
  return Buffer.concat([fixed, ...rest]);
}

function localHeader({ name, crc, bytes }: Written): Buffer {
  const extra = record([[2, 1], [2, 16], [8, bytes], [8, bytes]]); // biome-ignore format: a table
  return record(
    [[4, LOCAL_SIGNATURE], [2, VERSION_64], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc], [4, ALL], [4, ALL], [2, name.length], [2, extra.length]], // biome-ignore format: a table
    name,
    extra,
  );
}

function centralHeader({ name, crc, bytes, offset }: Written): Buffer {
  const extra = record([[2, 1], [2, 24], [8, bytes], [8, bytes], [8, offset]]); // biome-ignore format: a table
  return record(
    [[4, CENTRAL_SIGNATURE], [2, VERSION_64], [2, VERSION_64], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc], [4, ALL], [4, ALL], [2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, ALL]], // biome-ignore format: a table
    name,
    extra,
  );
}

/** The end of the archive, with 64-bit fields. */
function endRecords(count: number, bytes: number, offset: number): Buffer {
  const end64 = record(
    [[4, END64_SIGNATURE], [8, 44], [2, VERSION_64], [2, VERSION_64], [4, 0], [4, 0], [8, count], [8, count], [8, bytes], [8, offset]], // biome-ignore format: a table
  );
  const locator = record([[4, LOCATOR_SIGNATURE], [4, 0], [8, offset + bytes], [4, 1]]); // biome-ignore format: a table
  const few = Math.min(count, 0xffff);
  const end = record([[4, END_SIGNATURE], [2, 0], [2, 0], [2, few], [2, few], [4, ALL], [4, ALL], [2, 0]]); // biome-ignore format: a table
  return Buffer.concat([end64, locator, end]);
}
