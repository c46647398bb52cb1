import { TensorARError } from "@tensorar/core";
import type { Command, Program } from "./command";
import { commandHelp, programHelp } from "./help";
import { readSettings } from "./settings";
import { didYouMean } from "./suggest";

/** What a command line asks for. */
export type Request =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "run"; readonly command: Command; readonly settings: Record<string, unknown> };

/**
 * Reads a command line.
 * @param args arguments after the program's name
 * @throws TensorARError for what can't be run: an unknown command or flag, a bad value, something that is missing
 */
export async function readRequest(program: Program, args: readonly string[]): Promise<Request> {
  const [first, ...rest] = args;
  if (first === undefined || first === "--help" || first === "-h") return print(programHelp(program));
  if (first === "--version" || first === "-V") return print(program.version);
  if (first === "help") {
    const [name] = rest;
    return print(name === undefined ? programHelp(program) : commandHelp(program, commandOf(program, name)));
  }
  if (first.startsWith("-"))
    throw new TensorARError(`unknown flag ${first}; give a command first, see \`${program.name} --help\``);
  const command = commandOf(program, first);
  const settings = await readSettings(command, rest);
  return settings === undefined ? print(commandHelp(program, command)) : { kind: "run", command, settings };
}

const print = (text: string): Request => ({ kind: "print", text });

function commandOf({ commands }: Program, name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found) return found;
  const known = commands.map((command) => command.name);
  const hint = didYouMean(name, known) || `; commands are ${known.join(", ")}`;
  throw new TensorARError(`unknown command "${name}"${hint}`);
}
