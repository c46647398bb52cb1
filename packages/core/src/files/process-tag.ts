import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Names a process in a file name, so that others can tell later whether it still runs: `PID-HOST-START-RANDOM`. Host and
 * start are hashes; the start (known on Linux alone) tells a process from a later one of the same number.
 */
export const newProcessTag = (): string =>
  [process.pid, hostHash(), startHash(process.pid), randomBytes(4).toString("hex")].join("-");

/** What {@link newProcessTag} makes, as the source of a regular expression. */
export const PROCESS_TAG = "\\d+-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}";

/** Whether the process of a tag runs: `elsewhere` where another host made the tag, which can't be told from here. */
export function ownerOf(tag: string): "running" | "ended" | "elsewhere" {
  const [pid, host, start] = tag.split("-");
  if (host !== hostHash()) return "elsewhere";
  return isRunning(Number(pid)) && startHash(Number(pid)) === start ? "running" : "ended";
}

const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);

const hostHash = (): string => hash(hostname());

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // there, but another user's
  }
  return !/^[ZX]/.test(statusOf(pid)[0] ?? "");
}

/** Of a process that is not there, or on other systems than Linux, the hash of nothing. */
function startHash(pid: number): string {
  const ticks = statusOf(pid)[19];
  return hash(ticks === undefined ? "" : `${readIfThere("/proc/sys/kernel/random/boot_id")} ${ticks}`);
}

/** Fields of `/proc/PID/stat` from the third, the state, on; the second may hold spaces and brackets. */
function statusOf(pid: number): string[] {
  const text = readIfThere(`/proc/${pid}/stat`);
  return text === "" ? [] : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // no such process, or no /proc
  }
}
