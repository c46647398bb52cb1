import { setImmediate } from "node:timers/promises";

/** What is timed; a promise is waited for. */
export type Work = () => unknown;

export interface Repetitions {
  /** Untimed runs before: compilation, caches, thread pools. */
  readonly warmup?: number;
  /** Timed runs, of which the median counts. */
  readonly runs?: number;
}

/** Milliseconds of one run of `work`: the median of several after a warm-up. */
export async function measure(work: Work, { warmup = 3, runs = 15 }: Repetitions = {}): Promise<number> {
  for (let run = 0; run < warmup; run++) await work();
  const times: number[] = [];
  for (let run = 0; run < runs; run++) times.push(await time(work));
  return median(times);
}

/**
 * Two pieces of work in one run, in turns (a b, b a, a b, …), so that a machine that slows down slows both. Milliseconds of
 * each, and `ratio`: the median of b / a over the turns. Above 1, `a` is the faster.
 */
export async function measurePair(
  a: Work,
  b: Work,
  { warmup = 3, runs = 15 }: Repetitions = {},
): Promise<{ a: number; b: number; ratio: number }> {
  const times = { a: [] as number[], b: [] as number[] };
  for (let run = 0; run < warmup + runs; run++) {
    const turn = run % 2 === 0 ? (["a", "b"] as const) : (["b", "a"] as const);
    for (const name of turn) {
      const milliseconds = await time(name === "a" ? a : b);
      if (run >= warmup) times[name].push(milliseconds);
    }
  }
  return { a: median(times.a), b: median(times.b), ratio: median(times.b.map((value, run) => value / times.a[run]!)) };
}

async function time(work: Work): Promise<number> {
  await setImmediate(); // what earlier runs left behind (callbacks, finalizers) is not this run's
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("median: no values; measure at least one run");
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
