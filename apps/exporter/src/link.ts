import { copyFile, link } from "node:fs/promises";

/** What systems say where a hard link can't be: across disks, on FAT and some network drives, past a file's most links. */
const REFUSALS = new Set(["EXDEV", "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/**
 * A function that puts files elsewhere without using space again: as hard links. Where the source is on another disk it
 * is copied once, and linked to from then on; where there are no links, every file is a copy.
 */
export function fileSharer(): (source: string, destination: string) => Promise<void> {
  const copies = new Map<string, string>();
  return async (source, destination) => {
    if (await linked(copies.get(source) ?? source, destination)) return;
    await copyFile(source, destination);
    copies.set(source, destination);
  };
}

async function linked(existing: string, destination: string): Promise<boolean> {
  try {
    await link(existing, destination);
    return true;
  } catch (error) {
    if (REFUSALS.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
