import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileError } from "./errors";
import { syncFolder } from "./sync";
import { temporaryFile } from "./temporary";

/** Bytes of one write call; the system takes less than 2^31. */
const MAX_TRANSFER_BYTES = 2 ** 30;

/**
 * Replaces or creates a file so that a crash leaves the old contents or the new, never a part. The contents go to a
 * temporary file beside it (`.NAME.TAG.tmp`), which is synced and renamed; then the folder is synced. On an
 * error the temporary file is removed; only a killed process leaves it behind, until `removeLeftovers`.
 *
 * @throws TensorARError when the system refuses; the old file is then as it was
 */
export async function writeFileAtomic(path: string, contents: Uint8Array | string): Promise<void> {
  const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
  await replaceFile(path, (put) => put(bytes));
}

/** Writes all of `bytes`, at `position` or, without one, after what was written so far. */
export type PutBytes = (bytes: Uint8Array, position?: number) => Promise<void>;

/**
 * {@link writeFileAtomic} for contents that `write` puts piece by piece into the temporary file.
 *
 * @throws TensorARError when the system refuses, and whatever `write` throws, as it is: where making the contents fails,
 *   the disk is not to blame. The old file is then as it was.
 */
export async function replaceFile(path: string, write: (put: PutBytes) => Promise<void>): Promise<void> {
  const temporary = temporaryFile(path);
  const explain = (cause: unknown) => {
    throw fileError("write", path, cause);
  };
  const handle = await open(temporary, "wx").catch(explain);
  try {
    try {
      await write(putInto(handle, explain));
      await handle.sync().catch(explain);
    } finally {
      await handle.close().catch(explain);
    }
    await rename(temporary, path).catch(explain);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to report
    throw cause;
  }
  await syncFolder(dirname(path));
}

/** A single call of the system may write less than it is given. */
function putInto(handle: FileHandle, explain: (cause: unknown) => never): PutBytes {
  let end = 0;
  return async (bytes, position = end) => {
    for (let done = 0; done < bytes.byteLength; ) {
      const length = Math.min(bytes.byteLength - done, MAX_TRANSFER_BYTES);
      done += (await handle.write(bytes, done, length, position + done).catch(explain)).bytesWritten;
    }
    end = Math.max(end, position + bytes.byteLength);
  };
}
