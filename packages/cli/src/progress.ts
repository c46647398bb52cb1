import type { Progress } from "@tensorar/core";
import { Presets, SingleBar } from "cli-progress";
import { createMeter, formatRate, formatSeconds } from "./meter";

/** How progress is shown. */
interface Display {
  show(done: number, line: string): void;
  /** `last` is what was not shown yet. */
  end(last: string | undefined): void;
}

const PLAIN_LINE_EVERY_SECONDS = 10;

const shown = new Set<Progress>();
const seconds = (): number => performance.now() / 1000;

/**
 * Shows progress on stderr: `title 120/480 images · 31 images/s · ETA 12 s · note`; a bar on a terminal, a plain line now and then
 * elsewhere. `update` takes fractions, which count for the rate; `stop` ends the line.
 *
 * @param total undefined or 0: nobody knows
 * @param unit what is counted, in the plural: `images`
 * @param start units that were done before
 */
export function startProgress(title: string, total: number | undefined, unit: string, start = 0): Progress {
  const display = process.stderr.isTTY && total ? terminalBar(title, total, start) : plainLines(title, total);
  const pace = createMeter(start, seconds());
  let last: string | undefined;
  const progress: Progress = {
    update(done, note = "") {
      if (!shown.has(progress)) return;
      const { rate, elapsed } = pace(done, seconds());
      const parts = [
        `${Math.floor(done)}${total ? `/${total}` : ""} ${unit}`,
        ...(rate === undefined ? [] : [formatRate(rate, unit)]),
        total && done >= total
          ? `took ${formatSeconds(elapsed)}`
          : rate && total
            ? `ETA ${formatSeconds((total - done) / rate)}`
            : "",
        note,
      ];
      last = parts.filter((part) => part !== "").join(" · ");
      display.show(done, last);
    },
    stop() {
      if (shown.delete(progress)) display.end(last);
    },
  };
  shown.add(progress);
  return progress;
}

/** Ends the lines of all progress, so that other text begins on a line of its own. */
export function endProgress(): void {
  for (const progress of shown) progress.stop();
}

function terminalBar(title: string, total: number, start: number): Display {
  const bar = new SingleBar(
    { format: "{title} {bar} {line}", hideCursor: true, barsize: 24, stream: process.stderr },
    Presets.shades_classic,
  );
  bar.start(total, start, { title, line: "" });
  return { show: (done, line) => bar.update(done, { line }), end: () => bar.stop() };
}

function plainLines(title: string, total: number | undefined): Display {
  let printed: { line: string | undefined; at: number } = { line: undefined, at: Number.NEGATIVE_INFINITY };
  const print = (line: string): void => {
    if (line !== printed.line) console.error(`${title}: ${line}`);
    printed = { line, at: seconds() };
  };
  return {
    show(done, line) {
      if ((total && done >= total) || seconds() - printed.at >= PLAIN_LINE_EVERY_SECONDS) print(line);
    },
    end(last) {
      if (last !== undefined) print(last);
    },
  };
}
