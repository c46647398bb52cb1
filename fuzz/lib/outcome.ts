import { readFileSync, writeFileSync } from "node:fs";
import { TensorARError } from "@tensorar/core";
import { type Reader, WrongResult } from "./reader";

/**
 * What a reader made of an input. The first two are as they should be:
 * - `right`: it opened, and what was read fits together
 * - `clear`: a TensorARError in one line or few, which says what is wrong
 * - `raw`: any other error, a TensorARError that only repeats one of JavaScript, or the end of the process
 * - `wrong`: it opened, and what was read contradicts itself
 * - `hang`: it took more time of the processor than {@link LONGEST_MS}, or does not end
 * - `large`: it took more memory than {@link MOST_BYTES}
 */
export const OUTCOMES = ["right", "clear", "raw", "wrong", "hang", "large"] as const;
export type OutcomeKind = (typeof OUTCOMES)[number];

export interface Outcome {
  readonly kind: OutcomeKind;
  /** The error's message and, where it is a fault, its stack. */
  readonly detail: string;
}

export const isFault = ({ kind }: Outcome): boolean => kind !== "right" && kind !== "clear";

/** Inputs have some kilobytes, and most take a few milliseconds. */
export const LONGEST_MS = 10_000;
/** Above what the process held before. Buffers of pixels and native libraries take tens of megabytes. */
export const MOST_BYTES = 400 * 2 ** 20;

/** What JavaScript says of a value that nobody checked. */
const OF_JAVASCRIPT =
  /Cannot (read|set|destructure|convert|mix) |is not (a function|iterable|a constructor)|undefined \(reading|Maximum call stack|Invalid (typed )?array length|Array buffer allocation|\[object Object\]/;
const LONGEST_MESSAGE = 2000;
const MOST_LINES = 8;

export async function outcomeOf(reader: Reader, path: string): Promise<Outcome> {
  const before = resetPeak();
  const begun = process.cpuUsage();
  const outcome = await reader.read(path).then(() => ({ kind: "right", detail: "" }) as const, outcomeOfError);
  if (isFault(outcome)) return outcome;
  const { user, system } = process.cpuUsage(begun);
  const took = (user + system) / 1000;
  if (took > LONGEST_MS) return { kind: "hang", detail: `took ${Math.round(took)} ms; ${outcome.detail}` };
  const grown = peak() - before;
  if (grown > MOST_BYTES)
    return { kind: "large", detail: `took ${Math.round(grown / 2 ** 20)} MiB; ${outcome.detail}` };
  return outcome;
}

function outcomeOfError(error: unknown): Outcome {
  const stack = (error as Error)?.stack ?? String(error);
  if (error instanceof WrongResult) return { kind: "wrong", detail: stack };
  if (!(error instanceof TensorARError)) return { kind: "raw", detail: stack };
  const { message } = error;
  const unclear =
    message.length === 0 ||
    message.length > LONGEST_MESSAGE ||
    message.split("\n").length > MOST_LINES ||
    OF_JAVASCRIPT.test(message);
  return unclear ? { kind: "raw", detail: `unclear: ${stack.slice(0, 4000)}` } : { kind: "clear", detail: message };
}

// Linux tells the most memory that a process held, and forgets it on request. Elsewhere memory is not watched.
const watched = process.platform === "linux";

function resetPeak(): number {
  if (!watched) return 0;
  writeFileSync("/proc/self/clear_refs", "5");
  return peak();
}

function peak(): number {
  if (!watched) return 0;
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);
}
