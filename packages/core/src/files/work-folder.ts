import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { TensorARError } from "../errors";
import { CHECKSUMS } from "./checksums";
import { fileError } from "./errors";
import { withLock } from "./lock";
import { removeLeftovers } from "./temporary";

/** Where work is done that is kept as it goes. */
export interface WorkSettings {
  readonly out: string;
  /** Go on with the work that is there. */
  readonly resume: boolean;
  /** Remove the work that is there. */
  readonly overwrite: boolean;
}

/** Files of a folder of work that goes on. */
export interface WorkFiles {
  /** What such a folder holds, for messages: `a run`. */
  readonly what: string;
  /** The file that makes a folder resumable: it is written first, and removed first. */
  readonly mark: string;
  /** Files and folders that only such work writes. */
  readonly own: readonly string[];
  /** Results, which other commands write too. */
  readonly results: readonly string[];
}

/**
 * Does `work` in a folder that is filled step by step, which no other process can meanwhile. The folder is made, or emptied of
 * earlier work, or found fit to be resumed first; other files in it stay.
 *
 * @throws TensorARError where there is work and neither `resume` nor `overwrite` (code `exists`), none to resume (`missing`),
 *   or another process works on it (`locked`)
 */
export async function inWorkFolder<T>(settings: WorkSettings, files: WorkFiles, work: () => Promise<T>): Promise<T> {
  const { out, resume, overwrite } = settings;
  if (out === "") throw new TensorARError('--output is ""; give the path of a folder');
  if (resume && overwrite)
    throw new TensorARError("--resume goes on with what is there, --overwrite removes it; give one of them");
  const expectFit = () => (resume ? expectResumable(out, files) : expectFree(out, files, overwrite));
  await expectFit();
  await mkdir(out, { recursive: true }).catch((cause) => {
    throw fileError("create the folder", out, cause);
  });
  return withLock(out, async () => {
    await expectFit(); // again: now nobody else can begin
    await removeLeftovers(out);
    if (!resume) for (const name of allOf(files)) await remove(join(out, name));
    return work();
  });
}

const allOf = ({ mark, own, results }: WorkFiles): string[] => [mark, ...results, CHECKSUMS, ...own];

async function expectResumable(out: string, { mark }: WorkFiles): Promise<void> {
  if ((await entriesOf(out)).includes(mark)) return;
  throw new TensorARError(
    `${out}: there is nothing to resume (no ${mark}); check --output, or leave out --resume to begin`,
    { code: "missing" },
  );
}

async function expectFree(out: string, files: WorkFiles, overwrite: boolean): Promise<void> {
  const found = await entriesOf(out);
  const there = found.find((name) => allOf(files).includes(name));
  if (there === undefined) return;
  if (![files.mark, ...files.own].some((name) => found.includes(name)))
    throw new TensorARError(`${out} holds "${there}", which is of another command; choose another --output`, {
      code: "exists",
    });
  if (overwrite) return;
  throw new TensorARError(
    `${out} already holds ${files.what}; continue with --resume, remove that with --overwrite, or choose another --output`,
    { code: "exists" },
  );
}

async function entriesOf(out: string): Promise<string[]> {
  try {
    if (!(await stat(out)).isDirectory())
      throw new TensorARError(`${out} is a file; give the path of a folder`, { code: "exists" });
    return await readdir(out);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw fileError("read the folder", out, cause);
  }
}

const remove = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true }).catch((cause) => {
    throw fileError("remove", path, cause);
  });
