import type { BigIntStats, Dirent } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { RECOGNIZED_BYTES, recognize } from "@tensorar/core";
import { fileError } from "@tensorar/core/node";
import { hasImageName, isHidden } from "./image-names";
import { HIDDEN, NO_TEXT_NAME, NOT_NAMED, type Tally } from "./left-out";
import { byName } from "./natural-order";

/** A file or folder that was found. */
export interface Found {
  /** To open it. */
  readonly path: string;
  /** Its place below the folder that was listed, with "/". */
  readonly name: string;
}

/** Images of a folder, and what it holds besides. */
export interface FolderContents {
  readonly folders: readonly Found[];
  /** Files named as images. */
  readonly images: readonly Found[];
}

/**
 * The images below a folder, at any depth, in natural order ({@link byName}). Links are followed, but no folder is entered twice.
 *
 * @param tally counts everything else, and why it is left out; nothing is opened that is no file or folder
 * @throws TensorARError when a folder can't be read
 */
export async function listImages(dir: string, tally: Tally, below = ""): Promise<Found[]> {
  const images: Found[] = [];
  const entered = new Set<string>();
  const enter = async (folder: Found): Promise<void> => {
    const { dev, ino } = (await statOf(folder.path)) as BigIntStats;
    if (entered.has(`${dev}:${ino}`)) return tally.add("link to a folder that was listed already", folder.name);
    entered.add(`${dev}:${ino}`);
    const contents = await listFolder(folder.path, tally, folder.name);
    for (const image of contents.images) images.push(image); // spreading a million arguments would overflow the stack
    for (const each of contents.folders) await enter(each);
  };
  await enter({ path: dir, name: below });
  return images.sort((a, b) => byName(a.name, b.name));
}

/** {@link listImages} of one level: its folders and images. @param below what names begin with */
export async function listFolder(dir: string, tally: Tally, below = ""): Promise<FolderContents> {
  const folders: Found[] = [];
  const images: Found[] = [];
  const others: Found[] = [];
  for (const entry of await entriesOf(dir)) {
    const text = utf8(entry.name);
    const name = `${below === "" ? "" : `${below}/`}${text ?? escaped(entry.name)}`;
    if (text === undefined) tally.add(NO_TEXT_NAME, name);
    else if (isHidden(text)) tally.add(HIDDEN, name);
    else {
      const found = { path: join(dir, text), name };
      const kind = await kindOf(entry, found.path);
      if (kind === "folder") folders.push(found);
      else if (kind !== "file") tally.add(kind, name);
      else if (hasImageName(text)) images.push(found);
      else others.push(found);
    }
  }
  await tallyOthers(others, tally);
  return { folders: folders.sort(compare), images: images.sort(compare) };
}

const compare = (a: Found, b: Found): number => byName(a.name, b.name);

async function entriesOf(dir: string): Promise<Dirent<Buffer>[]> {
  try {
    // As bytes: a name in another encoding would come back as one that does not exist.
    const entries = await readdir(dir, { withFileTypes: true, encoding: "buffer" });
    return entries.sort((a, b) => Buffer.compare(a.name, b.name)); // so that first examples do not depend on the disk
  } catch (cause) {
    throw fileError("read the folder", dir, cause);
  }
}

/** "file", "folder", or why it is neither. */
async function kindOf(entry: Dirent<Buffer>, path: string): Promise<string> {
  const target = entry.isFile() || entry.isDirectory() ? entry : await statOf(path);
  if (typeof target === "string") return target;
  if (target.isFile()) return "file";
  return target.isDirectory() ? "folder" : "no file but a pipe, socket or device";
}

async function statOf(path: string): Promise<BigIntStats | string> {
  try {
    return await stat(path, { bigint: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "link to nothing";
    if (code === "ELOOP") return "link to itself";
    throw fileError("read", path, cause);
  }
}

const AT_ONCE = 32;

/** Files that are not named as images: some are images all the same, which is to be said. */
async function tallyOthers(files: readonly Found[], tally: Tally): Promise<void> {
  for (let start = 0; start < files.length; start += AT_ONCE) {
    const some = files.slice(start, start + AT_ONCE);
    const kinds = await Promise.all(some.map(({ path }) => imageIn(path)));
    for (const [i, { name }] of some.entries())
      tally.add(kinds[i] ? `${kinds[i]} under a name that is not read` : NOT_NAMED, name);
  }
}

/** What image a file begins as; undefined for others, and for files that can't be read, which are none of ours. */
async function imageIn(path: string): Promise<string | undefined> {
  try {
    const handle = await open(path);
    try {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(RECOGNIZED_BYTES), 0, RECOGNIZED_BYTES, 0);
      const found = recognize(buffer.subarray(0, bytesRead));
      return found?.kind === "image" ? found.what : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

function utf8(name: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
  } catch {
    return undefined;
  }
}

/** A name that is no text, to be shown: bytes other than ASCII as `\xE9`. */
const escaped = (name: Uint8Array): string =>
  Array.from(name, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`,
  ).join("");
