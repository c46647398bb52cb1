import { constants } from "node:os";
import { endProgress } from "./progress";

/** Ctrl-C, and what `kill` sends. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export interface Interruption {
  readonly signal: AbortSignal;
  /** The exit code of a stopped program: 130 after Ctrl-C, 143 after SIGTERM; undefined while nothing stopped it. */
  exitCode(): number | undefined;
}

/**
 * A signal of the system aborts the returned one, once: work ends after its step. From then on the system itself ends the process
 * at the next signal, even while native code holds the event loop. Two signals that come while it is held count as two.
 */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const stop = (name: NodeJS.Signals): void => {
    endProgress();
    if (exitCode !== undefined) process.exit(exitCode);
    exitCode = 128 + constants.signals[name];
    // After the signals that came together with this one, and before any work goes on.
    setImmediate(() => {
      for (const each of SIGNALS) process.off(each, stop);
      console.error("stopping after this step; press Ctrl-C again to stop at once");
      controller.abort(new DOMException("stopped", "AbortError"));
    });
  };
  for (const name of SIGNALS) process.on(name, stop);
  return { signal: controller.signal, exitCode: () => exitCode };
}
