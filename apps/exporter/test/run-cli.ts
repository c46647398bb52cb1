import { type CliResult, commandLine } from "@tensorar/testing/command-line";
import { program } from "../src/program";

const { run, spawn } = commandLine(program, new URL("../src/cli.ts", import.meta.url));

/** Runs a command within this process. */
export const runCli = (...args: readonly string[]): Promise<CliResult> => run(args);
/** Runs a command in a process of its own. */
export const spawnCli = (...args: readonly string[]): Promise<CliResult> => spawn(args);
