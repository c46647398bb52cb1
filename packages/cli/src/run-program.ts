import type { Program } from "./command";
import { describeFailure, type Failure } from "./failure";
import { highlight } from "./highlight";
import { listenForInterruption } from "./interruption";
import { endProgress } from "./progress";
import { readRequest } from "./request";
import { withWeights } from "./weights";

/**
 * Runs a command line to its end and sets the exit code: 0, 1 after an error, 130 after Ctrl-C, 143 after SIGTERM. Errors are
 * printed, none is thrown.
 *
 * @param args arguments after the program's name
 */
export async function runProgram(program: Program, args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const interruption = listenForInterruption();
  const fail = ({ text, exitCode }: Failure): void => {
    endProgress();
    console.error(highlight(text, process.stderr));
    process.exitCode = exitCode;
  };
  process.on("uncaughtException", (error) => {
    fail(describeFailure(error, program, interruption.exitCode()));
    process.exit();
  });
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(); // the reader, such as `head`, has seen enough
    throw error;
  });
  try {
    await runCommand(program, args, interruption.signal);
  } catch (error) {
    fail(describeFailure(error, program, interruption.exitCode()));
  }
}

/**
 * Runs a command line within another program: it prints as usual, by `console`, and leaves signals and the exit code alone.
 *
 * @param args arguments after the program's name
 * @throws what the command throws; {@link describeFailure} says how a command line prints it
 */
export async function runCommand(program: Program, args: readonly string[], signal: AbortSignal): Promise<void> {
  const request = await readRequest(program, args);
  if (request.kind === "print") return console.log(request.text);
  const { command } = request;
  const settings = await withWeights(command.schema, request.settings, signal);
  const body = await command.load();
  await body.run(settings, signal);
}
