import { open } from "node:fs/promises";
import { TensorARError } from "../errors";
import type { ByteSource } from "../source";
import { MAX_TRANSFER_BYTES } from "./atomic";
import { fileError } from "./errors";

/** Opens a file for ranged reads; the caller closes it. */
export async function openSource(path: string): Promise<ByteSource> {
  const handle = await open(path, "r").catch((cause) => {
    throw fileError("open", path, cause);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new TensorARError(`cannot read "${path}": it is not a file; give the path of one`);
    const { size } = stats;
    const read = async (begin: number, end: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(end - begin);
      for (let filled = 0; filled < bytes.byteLength; ) {
        const length = Math.min(bytes.byteLength - filled, MAX_TRANSFER_BYTES);
        const { bytesRead } = await handle.read(bytes, filled, length, begin + filled).catch((cause) => {
          throw fileError("read", path, cause);
        });
        if (bytesRead === 0) {
          throw new TensorARError(`${path}: it ended at byte ${begin + filled} while being read; it was cut meanwhile`);
        }
        filled += bytesRead;
      }
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
