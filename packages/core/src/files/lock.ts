import { readdir, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { TensorARError } from "../errors";
import { fileError } from "./errors";
import { newProcessTag, ownerOf, PROCESS_TAG } from "./process-tag";

const LOCK = new RegExp(`^\\.lock-(${PROCESS_TAG})$`);

/** Of processes that begin in the same moment and all withdraw. */
const ATTEMPTS = 5;
const LONGEST_WAIT_MS = 100;

/**
 * Does `work` while no other process does any in the same folder. The lock is a file `.lock-TAG` whose name says which process
 * has it, so it needs no cleaning after a crash: that of a process that has ended counts for nothing. On a network disk two
 * hosts may not see each other's files at once, and the lock of another host stays until somebody removes it.
 *
 * @param folder exists
 * @throws TensorARError of code `locked` while another process works there
 */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const release = await acquire(folder);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquire(folder: string): Promise<() => Promise<void>> {
  const name = `.lock-${newProcessTag()}`;
  const path = join(folder, name);
  const explain = (cause: unknown): never => {
    throw fileError("lock the folder", folder, cause);
  };
  const release = () => rm(path, { force: true }).catch(explain);
  for (let attempt = 1; ; attempt++) {
    await writeFile(path, `process ${process.pid} on ${hostname()}\n`).catch(explain);
    // First leave a name, then look for others': of two that begin at once, at least one sees the other.
    const other = await otherLock(folder, name).catch(explain);
    if (other === undefined) return release;
    await release();
    if (attempt === ATTEMPTS) throw lockedBy(other, folder);
    await wait(Math.random() * LONGEST_WAIT_MS);
  }
}

/** @throws TensorARError of code `locked` while a process works in a folder */
export async function expectUnlocked(folder: string): Promise<void> {
  const lock = await otherLock(folder, "").catch((cause) => {
    throw fileError("look for locks in the folder", folder, cause);
  });
  if (lock !== undefined) throw lockedBy(lock, folder);
}

/** The lock of another process; those of processes that have ended are removed. */
async function otherLock(folder: string, own: string): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    const tag = LOCK.exec(name)?.[1];
    if (tag === undefined || name === own) continue;
    if (ownerOf(tag) !== "ended") return name;
    await rm(join(folder, name), { force: true });
  }
  return undefined;
}

function lockedBy(name: string, folder: string): TensorARError {
  const tag = LOCK.exec(name)![1]!;
  const who =
    ownerOf(tag) === "elsewhere"
      ? `a process of another host works on it, or was killed there; if none does, remove ${join(folder, name)}`
      : `process ${tag.split("-")[0]} works on it; wait for it, or choose another folder`;
  return new TensorARError(`"${folder}" is locked: ${who}`, { code: "locked" });
}
