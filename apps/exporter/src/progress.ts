const PLAIN_LINE_EVERY_MS = 10_000;

/** A progress line on stderr: rewritten in place on a terminal, elsewhere a new one now and then and at the end. */
export function progressLine(title: string): (done: number, total: number, note: string) => void {
  const begun = performance.now();
  let shown = Number.NEGATIVE_INFINITY;
  return (done, total, note) => {
    const now = performance.now();
    const left = (((now - begun) / done) * (total - done)) / 1000;
    const line = `${title}: ${done}/${total} · ${note} · about ${left.toFixed(0)} s left`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${done < total ? line : ""}`);
    else if (done === total || now - shown > PLAIN_LINE_EVERY_MS) {
      shown = now;
      process.stderr.write(`${line}\n`);
    }
  };
}
