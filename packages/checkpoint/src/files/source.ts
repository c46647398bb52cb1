import { open } from "node:fs/promises";
import { TensorARError } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import type { ByteSource } from "../source";

/** Large ranges are read in parts, a few at a time: copying out of the page cache takes more than one core. */
const PART_BYTES = 2 ** 22;
const PARALLEL_PARTS = 4;

/** Opens a file for ranged reads; the caller closes it. */
export async function openSource(path: string): Promise<ByteSource> {
  const handle = await open(path, "r").catch((cause) => {
    throw fileError("open", path, cause);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new TensorARError(`cannot read "${path}": it is not a file; give the path of one`);
    const { size } = stats;
    const fill = async (bytes: Uint8Array, begin: number): Promise<void> => {
      for (let filled = 0; filled < bytes.byteLength; ) {
        const { bytesRead } = await handle
          .read(bytes, filled, bytes.byteLength - filled, begin + filled)
          .catch((cause) => {
            throw fileError("read", path, cause);
          });
        if (bytesRead === 0) {
          throw new TensorARError(`${path}: it ended at byte ${begin + filled} while being read; it was cut meanwhile`);
        }
        filled += bytesRead;
      }
    };
    const read = async (begin: number, end: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(end - begin);
      const parts: Promise<void>[] = [];
      for (let at = 0; at < bytes.byteLength; at += PART_BYTES) {
        if (parts.length >= PARALLEL_PARTS) await parts.shift();
        const part = fill(bytes.subarray(at, at + PART_BYTES), begin + at);
        part.catch(() => undefined); // awaited below; this keeps a second failure from being called unhandled
        parts.push(part);
      }
      await Promise.all(parts);
      return bytes;
    };
    return { name: path, size, read, close: () => handle.close() };
  } catch (cause) {
    await handle.close();
    throw fileError("read", path, cause);
  }
}

/** What `open` makes of a file; closes the file where that fails. */
export async function withSource<T>(path: string, open: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openSource(path);
  try {
    return await open(source);
  } catch (cause) {
    await source.close();
    throw fileError("read", path, cause);
  }
}
