import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { expect } from "vitest";
import { runCli, spawnCli } from "./run-cli";

/** Kills of each command; more for a long run: `TENSORAR_KILLS=20 npx vitest run apps/trainer/test -t SIGKILL`. */
export const KILLS = Number(process.env.TENSORAR_KILLS ?? 1);
/** For a test's time limit. */
export const KILLS_MS = (KILLS + 3) * 60_000;
/** How much longer the work takes in a new process, whose code is not compiled yet. */
const COLD = 1.5;

export interface Killed {
  /** The folder that it writes. */
  readonly out: string;
  /** Arguments for the next start, which may have to resume. */
  readonly next: () => readonly string[];
  /** Compares what is there after a run that ended by itself. */
  readonly expectSame: () => Promise<void>;
  /** How long the work takes. */
  readonly workMs: number;
}

/** Kills a run {@link KILLS} times at random times, from the moment that its folder is there, and lets it end then. */
export async function killAndResume({ out, next, expectSame, workMs }: Killed): Promise<void> {
  for (let kills = 0; kills < KILLS; ) {
    const afterMs = (Math.random() * COLD * 2 * workMs) / (KILLS + 1);
    const { status, output } = await spawnCli(next(), { when: () => existsSync(out), afterMs, signal: "SIGKILL" });
    if (status === null) {
      kills++;
      continue;
    }
    expect(status, output).toBe(0); // ended before the kill: what it is worth, and once more
    await expectSame();
    await rm(out, { recursive: true });
  }
  const { status, output } = await runCli(next());
  expect(status, output).toBe(0);
  await expectSame();
}

/** The duration of a run to its end. */
export async function timed(args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const { status, output } = await runCli(args);
  expect(status, output).toBe(0);
  return performance.now() - begun;
}
