import { lstat, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError } from "./errors";
import { newProcessTag, ownerOf, PROCESS_TAG } from "./process-tag";

/** Where a file is written before it gets its name. */
export const temporaryFile = (path: string): string => join(dirname(path), `.${basename(path)}.${newProcessTag()}.tmp`);

/** Where a folder is written before it gets its name, and where the one that it replaces goes meanwhile. */
export function temporaryFolders(path: string): { readonly next: string; readonly old: string } {
  const tag = newProcessTag();
  return { next: `${path}.tmp-${tag}`, old: `${path}.old-${tag}` };
}

const TEMPORARY = new RegExp(
  `^(?:\\.(?<file>.+)\\.(?<fileTag>${PROCESS_TAG})\\.tmp|(?<folder>.+)\\.(?<kind>tmp|old)-(?<tag>${PROCESS_TAG}))$`,
);

interface Temporary {
  readonly name: string;
  /** The name that it would have got, or had. */
  readonly of: string;
  readonly kind: "file" | "tmp" | "old";
  readonly tag: string;
}

/** What a name of a temporary file or folder says; undefined for other names. */
export function parseTemporary(name: string): Temporary | undefined {
  const { file, fileTag, folder, kind, tag } = TEMPORARY.exec(name)?.groups ?? {};
  if (file !== undefined) return { name, of: file, kind: "file", tag: fileTag! };
  return folder === undefined ? undefined : { name, of: folder, kind: kind as "tmp" | "old", tag: tag! };
}

async function temporariesIn(folder: string, of: string | undefined): Promise<Temporary[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return [];
    throw fileError("read the folder", folder, cause);
  });
  return names.flatMap((name) => parseTemporary(name) ?? []).filter((each) => of === undefined || each.of === of);
}

/**
 * Removes what killed processes left in a folder: temporary files and folders whose process has ended. Those of other
 * hosts stay, since nobody here can tell.
 * @param of only those of this name
 */
export async function removeLeftovers(folder: string, of?: string): Promise<void> {
  for (const { name, tag } of await temporariesIn(folder, of)) {
    if (ownerOf(tag) !== "ended") continue;
    const path = join(folder, name);
    await rm(path, { recursive: true, force: true }).catch((cause) => {
      throw fileError("remove the leftover", path, cause);
    });
  }
}

/** Longest time that another process takes between two renames. */
const SWAP_MS = 1000;

/**
 * Ends the replacement of a folder that was killed between its two renames: the folder is missing then, while the old one
 * and the whole new one lie beside it. The new one gets its name. Where a running process is at it, waits for that.
 */
export async function settleFolder(path: string): Promise<void> {
  for (const begun = Date.now(); Date.now() - begun < SWAP_MS && (await isAbsent(path)); ) {
    const swaps = (await temporariesIn(dirname(path), basename(path))).filter(({ kind }) => kind === "old");
    if (swaps.length === 0) return;
    const ended = swaps.find(({ tag }) => ownerOf(tag) === "ended");
    if (ended === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    else await finishSwap(path, ended.tag);
  }
}

async function finishSwap(path: string, tag: string): Promise<void> {
  const next = `${path}.tmp-${tag}`;
  const from = (await isAbsent(next)) ? `${path}.old-${tag}` : next;
  await rename(from, path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT" && cause.code !== "ENOTEMPTY") throw fileError("restore the folder", path, cause); // another did
  });
}

/** Whether nothing is at a path; a link to nothing is something. */
export const isAbsent = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return true;
      throw fileError("look at", path, cause);
    },
  );
