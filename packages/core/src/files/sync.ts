import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "./errors";

/** Makes a folder with all that is in it survive a power cut. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await sync(path);
  }
  await syncFolder(folder);
}

/** Makes renames in a folder survive a power cut. Windows has no such call, and no need of it on NTFS. */
export async function syncFolder(folder: string): Promise<void> {
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
