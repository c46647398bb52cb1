import { lstat, mkdir, readdir, realpath, rename, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { TensorARError } from "../errors";
import { CHECKSUMS, writeAllChecksums } from "./checksums";
import { fileError } from "./errors";
import { writeFolderAtomic } from "./folder";
import { expectUnlocked } from "./lock";
import { isAbsent, parseTemporary, removeLeftovers, settleFolder, temporaryFolders } from "./temporary";

/** Whether results that are there may be replaced. */
export interface OutputOptions {
  /** Whether what is there is replaced; where not, that is an error. */
  readonly overwrite: boolean;
}

/** What a folder of results may hold, and whether it may be replaced. */
export interface OutputFolderOptions extends OutputOptions {
  /** Names of all that such a folder holds. A folder with anything else in it is somebody's, and never replaced. */
  readonly entries: readonly (string | RegExp)[];
  /** Files that `checksums.txt` leaves out, since their readers check them piece by piece. */
  readonly unlisted?: readonly string[];
}

/** A folder that can be written, as far as can be told before the work. */
export interface OutputFolder {
  readonly path: string;
  /**
   * Writes the folder, all at once: `fill` puts the files into the temporary folder that it is given, and `checksums.txt`
   * is added there and in folders within. What was there stays until then, and where `fill` fails.
   */
  write<T>(fill: (temporary: string) => Promise<T>): Promise<T>;
}

/**
 * Checks before long work that its results can be written to a folder: nothing is in the way, and the place takes new
 * folders. Makes the folders above it, and removes what killed processes left. An empty folder is not in the way.
 *
 * @throws TensorARError saying what is in the way (code `exists`), that a process works there (`locked`), or what the system
 *   refuses (`io`)
 */
export async function openOutputFolder(path: string, options: OutputFolderOptions): Promise<OutputFolder> {
  const target = await placeOf(path);
  await settleFolder(target);
  await removeLeftovers(dirname(target), basename(target));
  const check = async () => {
    if (target === process.cwd())
      throw inTheWay(path, "is the current folder, and folders are replaced whole; give another");
    await expectReplaceable(target, path, options);
  };
  await check();
  await tryCreating(target, "create the folder", path);
  await tryMoving(target, path);
  return {
    path,
    async write<T>(fill: (temporary: string) => Promise<T>): Promise<T> {
      await settleFolder(target);
      await check(); // again: work takes long
      const complete = async (folder: string) => {
        const result = await fill(folder);
        await writeAllChecksums(folder, options.unlisted);
        return result;
      };
      return writeFolderAtomic(target, complete, { replace: true });
    },
  };
}

/**
 * The checks of {@link openOutputFolder} for a folder that is filled file by file: it may be the current one, or a disk's own.
 *
 * @throws TensorARError as there
 */
export async function checkOutputFolder(path: string, options: OutputFolderOptions): Promise<void> {
  const target = await placeOf(path);
  await settleFolder(target);
  await removeLeftovers(dirname(target), basename(target));
  await expectReplaceable(target, path, options);
  if (await isAbsent(target)) await tryCreating(target, "create the folder", path);
  else await tryCreating(join(target, "folder"), "write to the folder", path);
}

/**
 * Checks before long work that its results can be written to a file, as {@link openOutputFolder} does for folders.
 *
 * @throws TensorARError saying what is in the way (code `exists`), or what the system refuses (`io`)
 */
export async function checkOutputFile(path: string, { overwrite }: OutputOptions): Promise<void> {
  const target = resolve(given(path));
  await makeFolder(dirname(target), path);
  await removeLeftovers(dirname(target), basename(target));
  if (!(await isAbsent(target))) {
    if ((await lstat(target)).isDirectory()) throw inTheWay(path, "is a folder; give the path of a file");
    if (!overwrite) throw inTheWay(path, "exists; give --overwrite to replace it, or another name");
  }
  await tryCreating(target, "write", path);
}

async function tryCreating(target: string, action: string, path: string): Promise<void> {
  const { next } = temporaryFolders(target);
  await mkdir(next)
    .then(() => rmdir(next))
    .catch((cause) => {
      throw fileError(action, path, cause);
    });
}

/** A disk's own folder can't be moved, and so not replaced; nothing but trying tells. */
async function tryMoving(target: string, path: string): Promise<void> {
  if (await isAbsent(target)) return;
  const { old } = temporaryFolders(target); // which settleFolder moves back where this is killed
  await rename(target, old).catch((cause) => {
    throw fileError("replace the folder", path, cause);
  });
  await rename(old, target);
}

const inTheWay = (path: string, what: string) => new TensorARError(`"${path}" ${what}`, { code: "exists" });

function given(path: string): string {
  if (path !== "") return path;
  throw new TensorARError('cannot write to ""; give the path of what is to be written');
}

/** Where a folder is to be, links followed; the folders above it are made. */
async function placeOf(path: string): Promise<string> {
  const named = resolve(given(path));
  await makeFolder(dirname(named), path);
  if (await isAbsent(named)) return join(await realpath(dirname(named)), basename(named));
  return realpath(named).catch((cause) => {
    throw fileError("follow the link", path, cause);
  });
}

async function makeFolder(folder: string, path: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw fileError("create the folder of", path, cause);
  });
}

async function expectReplaceable(target: string, path: string, { overwrite, entries }: OutputFolderOptions) {
  if (await isAbsent(target)) return;
  const status = await stat(target);
  if (!status.isDirectory()) throw inTheWay(path, "is a file; give the path of a folder");
  await expectUnlocked(target);
  const found = await readdir(target).catch((cause) => {
    throw fileError("read the folder", path, cause);
  });
  const known = [CHECKSUMS, ...entries];
  const isKnown = (name: string) => known.some((each) => (typeof each === "string" ? each === name : each.test(name)));
  const foreign = found.find((name) => !isKnown(name) && parseTemporary(name) === undefined);
  if (foreign !== undefined)
    throw inTheWay(path, `holds "${foreign}", which is nothing that belongs here; choose another folder`);
  if (found.length > 0 && !overwrite)
    throw inTheWay(path, "exists and is not empty; give --overwrite to replace it, or another folder");
}
