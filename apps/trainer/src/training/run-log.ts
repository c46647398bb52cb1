import { join } from "node:path";
import { writeFileAtomic } from "@tensorar/core/node";
import { appendJsonLine, readJsonLines, toJsonLines } from "../folders/json-lines";

/** One line of `log.jsonl`: measurements after `step` steps. */
export interface LogEntry {
  readonly step: number;
  readonly [measure: string]: number;
}

const logPath = (run: string): string => join(run, "log.jsonl");

/** All entries; a last line cut off by a crash is left out. */
export const readLog = (run: string): Promise<LogEntry[]> => readJsonLines<LogEntry>(logPath(run));

/** Drops entries after `step`, which a resumed run computes again. */
export async function rewindLog(run: string, step: number): Promise<void> {
  const kept = (await readLog(run)).filter((entry) => entry.step <= step);
  await writeFileAtomic(logPath(run), toJsonLines(kept));
}

export const appendLog = (run: string, entry: LogEntry): Promise<void> => appendJsonLine(logPath(run), entry);
