/** Seconds of work that a rate is taken from. */
const WINDOW_SECONDS = 20;
const LEAST_SECONDS_APART = 0.2;

export interface Pace {
  /** Units a second, over the last seconds; undefined before anything was done. */
  readonly rate: number | undefined;
  /** Seconds since the work began. */
  readonly elapsed: number;
}

/**
 * Metrics how fast work goes on.
 * @param start units that were done before
 * @param now the time in seconds
 */
export function createMeter(start: number, now: number): (done: number, now: number) => Pace {
  const samples = [{ done: start, at: now }];
  return (done, at) => {
    const newest = samples.at(-1)!;
    if (at - newest.at >= LEAST_SECONDS_APART) samples.push({ done, at });
    while (samples.length > 2 && at - samples[1]!.at >= WINDOW_SECONDS) samples.shift();
    const oldest = samples[0]!;
    const rate = done > oldest.done && at > oldest.at ? (done - oldest.done) / (at - oldest.at) : undefined;
    return { rate, elapsed: at - now };
  };
}

/** `31 images/s`, `4.2 images/s`, `12 images/min`. */
export function formatRate(rate: number, unit: string): string {
  const [number, per] = rate >= 0.5 ? [rate, "s"] : rate * 60 >= 0.5 ? [rate * 60, "min"] : [rate * 3600, "h"];
  return `${number >= 10 ? number.toFixed(0) : number.toFixed(1)} ${unit}/${per}`;
}

/** `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}
