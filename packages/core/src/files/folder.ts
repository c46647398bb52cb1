import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { TensorARError } from "../errors";
import { fileError } from "./errors";
import { syncFolder, syncTree } from "./sync";
import { isAbsent, removeLeftovers, settleFolder, temporaryFolders } from "./temporary";

/** What happens to a folder that is there already. */
export interface FolderOptions {
  /** Whether a folder of that name is replaced, with all that is in it. Default: no, it is an error. */
  readonly replace?: boolean;
}

/**
 * Creates a folder with all its files at once: `fill` writes them into a temporary folder beside it (`NAME.tmp-TAG`),
 * which is synced and renamed. So a folder of this name is complete, always. One that it replaces is renamed away first
 * (`NAME.old-TAG`) and removed at the end: whenever the process is killed, the old one or the new one is there, whole, if
 * need be after `settleFolder`.
 *
 * @param fill writes the files into the folder that it is given; where it fails, that folder is removed and the error
 *   passed on
 * @returns what `fill` returned
 * @throws TensorARError when `path` exists already and is not to be replaced, or the system refuses
 */
export async function writeFolderAtomic<T>(
  path: string,
  fill: (temporary: string) => Promise<T>,
  { replace = false }: FolderOptions = {},
): Promise<T> {
  const explain = (cause: unknown): never => {
    throw fileError("create the folder", path, cause);
  };
  await settleFolder(path);
  if (!replace) await expectAbsent(path);
  await removeLeftovers(dirname(path), basename(path));
  const { next, old } = temporaryFolders(path);
  await mkdir(next).catch(explain);
  let result: T;
  try {
    result = await fill(next);
    await syncTree(next);
    if (!replace)
      await expectAbsent(path); // rename would silently take the place of an empty folder
    else if (!(await isAbsent(path))) await rename(path, old).catch(explain);
    await rename(next, path).catch(async (cause) => {
      if (replace) await rename(old, path).catch(() => undefined); // the first error is the one to report
      return explain(cause);
    });
  } catch (error) {
    await rm(next, { recursive: true, force: true }).catch(() => undefined); // as above
    throw error;
  }
  await syncFolder(dirname(path));
  await rm(old, { recursive: true, force: true }).catch((cause) => {
    throw fileError("remove what was replaced", old, cause);
  });
  return result;
}

async function expectAbsent(path: string): Promise<void> {
  if (await isAbsent(path)) return;
  throw new TensorARError(`cannot create the folder "${path}": it exists; choose a new name or remove it`, {
    code: "exists",
  });
}
