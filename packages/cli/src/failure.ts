import { TensorARError } from "@tensorar/core";
import type { Program } from "./command";

/** An error as a command line ends with it. */
export interface Failure {
  /** What is printed. */
  readonly text: string;
  readonly exitCode: number;
}

/**
 * What is printed of an error: one line of what can be mended, `stopped` after a signal, and a stack of bugs alone.
 * @param stopped exit code of a stopped program, where a signal stopped it
 */
export function describeFailure(
  error: unknown,
  { name, bugs }: Pick<Program, "name" | "bugs">,
  stopped?: number,
): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (stopped !== undefined && isAbort(error)) return { text: "stopped", exitCode: stopped };
  if (error instanceof TensorARError || isAbort(error) || isSystemError(error))
    return { text: `error: ${message.replaceAll("\n", "\n       ")}`, exitCode: 1 };
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    text: `error: this is a bug in ${name} (${message.split("\n")[0]}); please report it at ${bugs} with the lines below\n${stack ?? message}`,
    exitCode: 1,
  };
}

/** An AbortError, or an error that one caused. */
function isAbort(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at.name === "AbortError") return true;
  return false;
}

/** A refusal of the system, such as a full disk: nothing that a stack explains. */
const isSystemError = (error: unknown): boolean =>
  error instanceof Error && "syscall" in error && typeof (error as NodeJS.ErrnoException).code === "string";
