import { type ChildProcess, fork } from "node:child_process";
import { type Fault, keepFault } from "./faults";
import { isFault, LONGEST_MS, type Outcome } from "./outcome";
import type { Job, Report } from "./worker";

/** Enough for every reader; what needs more ends the process, which is a fault. */
const HEAP_MB = 1024;
/** A worker says nothing while it makes seeds, which takes seconds; minutes where other work fills the machine. */
const PATIENCE_MS = 900_000;

/** Does a job in a process of its own, which is ended where an input hangs, and begun again after it. */
export class Worker {
  #child: ChildProcess | undefined;

  /** @param onOutcome called after every input */
  async run(job: Job, onOutcome: (fault: Fault) => void): Promise<void> {
    for (let from = job.from; from < job.to; ) {
      const stopped = await this.#runUntilStopped({ ...job, from }, onOutcome);
      if (stopped === undefined) return;
      const fault = { ...job, index: stopped.index, outcome: stopped.outcome };
      await keepFault(job.faults, fault, stopped.path);
      onOutcome(fault);
      from = stopped.index + 1;
    }
  }

  end(): void {
    this.#child?.disconnect();
    this.#child = undefined;
  }

  /** @returns the input at which the process hung or ended, if it did */
  #runUntilStopped(job: Job, onOutcome: (fault: Fault) => void) {
    this.#child ??= start();
    const child = this.#child;
    return new Promise<{ index: number; path: string; outcome: Outcome } | undefined>((resolve, reject) => {
      let current: { index: number; path: string } | undefined;
      let timer = setTimeout(() => stop("hang"), PATIENCE_MS);
      const finish = () => {
        clearTimeout(timer);
        child.removeAllListeners();
      };
      const stop = (kind: "hang" | "raw") => {
        finish();
        this.#child = undefined;
        child.kill("SIGKILL");
        if (current === undefined) reject(new Error(`reader ${job.reader}: its process ended before the first input`));
        else
          resolve({
            ...current,
            outcome: { kind, detail: kind === "hang" ? `no answer in ${12 * LONGEST_MS} ms` : "the process ended" },
          });
      };
      child.on("exit", () => stop("raw"));
      child.on("message", (report: Report) => {
        clearTimeout(timer);
        if ("done" in report || "failed" in report) {
          finish();
          if ("failed" in report) reject(new Error(report.failed));
          else resolve(undefined);
          return;
        }
        if ("ended" in report) onOutcome({ ...job, index: report.ended, outcome: report.outcome });
        else current = { index: report.begun, path: report.path };
        // What ends by itself is told apart from what does not. Other work on the machine may take most of its time.
        timer = setTimeout(() => stop("hang"), "begun" in report ? 12 * LONGEST_MS : PATIENCE_MS);
      });
      child.send(job);
    });
  }
}

const start = (): ChildProcess =>
  fork(new URL("worker.ts", import.meta.url), [], {
    execArgv: ["--import", "tsx", "--conditions=@tensorar/source", `--max-old-space-size=${HEAP_MB}`],
    stdio: ["ignore", "ignore", "ignore", "ipc"], // readers may say what they left out
  });

/** Counts of outcomes by reader, and what is wrong. */
export class Tally {
  readonly counts = new Map<string, Map<string, number>>();
  readonly faults: Fault[] = [];

  add(fault: Fault): void {
    const counts = this.counts.get(fault.reader) ?? new Map<string, number>();
    counts.set(fault.outcome.kind, (counts.get(fault.outcome.kind) ?? 0) + 1);
    this.counts.set(fault.reader, counts);
    if (isFault(fault.outcome)) this.faults.push(fault);
  }
}
