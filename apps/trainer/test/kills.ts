import { expect } from "vitest";
import { runCli } from "./run-cli";

/** Kills of each command; more for a long run: `TENSORAR_KILLS=20 npx vitest run apps/trainer/test -t SIGKILL`. */
export const KILLS = Number(process.env.TENSORAR_KILLS ?? 1);
/** For a test's time limit. */
export const KILLS_MS = (KILLS + 3) * 60_000;

export interface Killed {
  /** Arguments for the next start, which may have to resume. */
  readonly next: () => readonly string[];
  /** Compares what is there after a run that ended by itself. */
  readonly expectSame: () => Promise<void>;
  /** Removes all of it. */
  readonly remove: () => Promise<void>;
  /** How long the program takes until work begins, and the whole work. */
  readonly startMs: number;
  readonly workMs: number;
}

/** Kills a run {@link KILLS} times at random times, from its last moments of starting on, and lets it end then. */
export async function killAndResume({ next, expectSame, remove, startMs, workMs }: Killed): Promise<void> {
  for (let kills = 0; kills < KILLS; ) {
    const when = 0.7 * startMs + Math.random() * (0.3 * startMs + (2 * workMs) / (KILLS + 1));
    const { status, output } = await runCli(next(), { when, signal: "SIGKILL" });
    if (status === null) {
      kills++;
      continue;
    }
    expect(status, output).toBe(0); // ended before the kill: what it is worth, and once more
    await expectSame();
    await remove();
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
