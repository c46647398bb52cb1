import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TensorARError } from "../errors";
import { fileError } from "./errors";

/** Bytes of one write call; the system takes less than 2^31. */
const MAX_TRANSFER_BYTES = 2 ** 30;

/**
 * Replaces or creates a file so that a crash leaves the old contents or the new, never a part. The contents go to a
 * temporary file beside it (`.NAME.PID-RANDOM.tmp`), which is synced and renamed; then the folder is synced. On an
 * error the temporary file is removed; only a killed process leaves it behind.
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
  const temporary = join(dirname(path), `.${basename(path)}.${uniqueSuffix()}.tmp`);
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

const uniqueSuffix = () => `${process.pid}-${randomBytes(6).toString("hex")}`;

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

/**
 * Creates a folder with all its files at once: `fill` writes them into a temporary folder beside it
 * (`NAME.tmp-PID-RANDOM`), which is synced and renamed. So a folder of this name is complete, always.
 *
 * @param fill writes the files into the folder that it is given; where it fails, that folder is removed and the error
 *   passed on
 * @throws TensorARError when `path` exists already, or the system refuses
 */
export async function writeFolderAtomic(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  await expectAbsent(path);
  const temporary = `${path}.tmp-${uniqueSuffix()}`;
  await mkdir(temporary).catch((cause) => {
    throw fileError("create the folder", path, cause);
  });
  try {
    await fill(temporary);
    await syncTree(temporary);
    await expectAbsent(path); // rename would silently take the place of an empty folder
    await rename(temporary, path).catch((cause) => {
      throw fileError("create the folder", path, cause);
    });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined); // as above
    throw error;
  }
  await syncFolder(dirname(path));
}

async function expectAbsent(path: string): Promise<void> {
  const exists = await lstat(path).then(
    () => true,
    () => false,
  );
  if (!exists) return;
  throw new TensorARError(`cannot create the folder "${path}": it exists; choose a new name or remove it`, {
    code: "exists",
  });
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await sync(path);
  }
  await syncFolder(folder);
}

/** Makes renames in a folder survive a power cut. Windows has no such call, and no need of it on NTFS. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== "win32") await sync(folder);
}

async function sync(path: string): Promise<void> {
  try {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw fileError("sync", path, cause);
  }
}
