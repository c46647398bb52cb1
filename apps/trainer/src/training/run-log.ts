import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@tensorar/checkpoint/node";

/** One line of `log.jsonl`: measurements after `step` steps. */
export interface LogEntry {
  readonly step: number;
  readonly [measure: string]: number;
}

const logPath = (run: string): string => join(run, "log.jsonl");

/** All entries; a last line cut off by a crash is left out. */
export async function readLog(run: string): Promise<LogEntry[]> {
  let text: string;
  try {
    text = await readFile(logPath(run), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  return complete
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogEntry);
}

/** Drops entries after `step`, which a resumed run computes again. */
export async function rewindLog(run: string, step: number): Promise<void> {
  const kept = (await readLog(run)).filter((entry) => entry.step <= step);
  await writeFileAtomic(logPath(run), kept.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
}

export const appendLog = (run: string, entry: LogEntry): Promise<void> =>
  appendFile(logPath(run), `${JSON.stringify(entry)}\n`);
