import { TensorARError } from "../errors";

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: "check the path; folders are not created",
  ENOTDIR: "check the path; a part of it is a file",
  EISDIR: "give the path of a file, not of a folder",
  EACCES: "change the permissions, or use another folder",
  EPERM: "change the permissions, or use another folder",
  EROFS: "the file system is read-only; use another folder",
  ENOSPC: "the disk is full; free space, or use another disk",
  EDQUOT: "the quota is used up; free space, or use another disk",
  EMFILE: "too many files are open; close some, or raise the limit (ulimit -n)",
  EBUSY: "it is in use, or a disk's own folder; give a folder in it",
  EFBIG: "the file is too large for this file system or limit; use another disk",
};

/** The error for a failed file operation: what was tried, on which file, what the system said, and what helps. */
export function fileError(action: string, path: string, cause: unknown): TensorARError {
  if (cause instanceof TensorARError) return cause;
  const { code = "", message = String(cause) } = cause as NodeJS.ErrnoException;
  const remedy = REMEDIES[code] ?? "check the disk and try again";
  const shown = shortened(path);
  return new TensorARError(`cannot ${action} "${shown}": ${message.replaceAll(path, shown)}; ${remedy}`, {
    cause,
    code: "io",
  });
}

/** Longer paths come from damaged files. */
const LONGEST_PATH = 400;

const shortened = (path: string): string =>
  path.length <= LONGEST_PATH ? path : `${path.slice(0, LONGEST_PATH / 2)} … ${path.slice(-LONGEST_PATH / 2)}`;
