import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TensorARError } from "../errors";
import { fileError } from "./errors";

/** Bytes of one read or write call; the system takes less than 2^31. */
export const MAX_TRANSFER_BYTES = 2 ** 30;

/**
 * Replaces or creates a file so that a crash leaves the old contents or the new, never a part. The contents go to a
 * temporary file beside it (`.NAME.PID-RANDOM.tmp`), which is synced and renamed; then the folder is synced. On an
 * error the temporary file is removed; only a killed process leaves it behind.
 *
 * @throws TensorARError when the system refuses; the old file is then as it was
 */
export async function writeFileAtomic(path: string, contents: Uint8Array | string): Promise<void> {
  const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
  await replaceFile(path, (handle) => writeFully(handle, bytes));
}

/** {@link writeFileAtomic} for contents that `write` streams into the temporary file. */
export async function replaceFile(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${uniqueSuffix()}.tmp`);
  try {
    const handle = await open(temporary, "wx");
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to report
    throw fileError("write", path, cause);
  }
  await syncFolder(dirname(path));
}

const uniqueSuffix = () => `${process.pid}-${randomBytes(6).toString("hex")}`;

/** Writes all of `bytes` at the handle's position; a single call may write less. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - written, MAX_TRANSFER_BYTES);
    written += (await handle.write(bytes, written, length)).bytesWritten;
  }
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
  if (exists) throw new TensorARError(`cannot create the folder "${path}": it exists; choose a new name or remove it`);
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
