import { Presets, SingleBar } from "cli-progress";

/** Progress of one long piece of work: a bar with ETA on a terminal, a plain line now and then elsewhere. */
export interface Progress {
  /** `done` of the total; `note` is shown beside it (a loss, a file name). */
  update(done: number, note?: string): void;
  stop(): void;
}

const PLAIN_LINE_EVERY_MS = 10_000;

const seconds = (ms: number): string => {
  const total = Math.round(ms / 1000);
  return total < 60 ? `${total} s` : `${Math.floor(total / 60)} min ${total % 60} s`;
};

export function startProgress(title: string, total: number, start = 0): Progress {
  return process.stderr.isTTY ? terminalBar(title, total, start) : plainLines(title, total, start);
}

function terminalBar(title: string, total: number, start: number): Progress {
  const bar = new SingleBar(
    {
      format: `${title} {bar} {value}/{total} · ETA {eta_formatted} · {note}`,
      hideCursor: true,
      stream: process.stderr,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  bar.start(total, start, { note: "" });
  return { update: (done, note = "") => bar.update(done, { note }), stop: () => bar.stop() };
}

function plainLines(title: string, total: number, start: number): Progress {
  const begun = performance.now();
  let lastLine = Number.NEGATIVE_INFINITY;
  let last: { done: number; note: string } | undefined;
  const print = (done: number, note: string) => {
    const elapsed = performance.now() - begun;
    const rest = done > start ? ((total - done) * elapsed) / (done - start) : 0;
    console.error(
      `${title}: ${done}/${total}${note ? ` · ${note}` : ""} · ${done < total ? `about ${seconds(rest)} left` : `took ${seconds(elapsed)}`}`,
    );
  };
  return {
    update(done, note = "") {
      last = { done, note };
      const now = performance.now();
      if (done < total && now - lastLine < PLAIN_LINE_EVERY_MS) return;
      lastLine = now;
      print(done, note);
      last = undefined;
    },
    stop() {
      if (last) print(last.done, last.note);
    },
  };
}
