import { join } from "node:path";
import { appendJsonLine, readJsonLines, toJsonLines, writeFileAtomic } from "@tensorar/core/node";
import { z } from "zod";

/** One line of `log.jsonl`: measurements after `step` steps. */
export interface LogEntry {
  readonly step: number;
  readonly loss: number;
  readonly [measure: string]: number;
}

const schema = z.object({ step: z.int().nonnegative(), loss: z.number() }).catchall(z.number());

export const LOG = "log.jsonl";

const logPath = (run: string): string => join(run, LOG);

/** All entries; a last line cut off by a crash is left out, and so are damaged ones, which `warn` is told. */
export async function readLog(run: string, warn: (message: string) => void = () => {}): Promise<readonly LogEntry[]> {
  const { values, damaged } = await readJsonLines(logPath(run), schema);
  for (const message of damaged) warn(`left out ${message}`);
  return values;
}

/** Drops entries after `step`, which a resumed run computes again. */
export async function rewindLog(run: string, step: number, warn: (message: string) => void): Promise<void> {
  const kept = (await readLog(run, warn)).filter((entry) => entry.step <= step);
  await writeFileAtomic(logPath(run), toJsonLines(kept));
}

export const appendLog = (run: string, entry: LogEntry): Promise<void> => appendJsonLine(logPath(run), entry);
