import { commandLine } from "@tensorar/testing/command-line";
import { program } from "../src/program";

/** `runCli` runs a command within this process, `spawnCli` in one of its own. */
export const { run: runCli, spawn: spawnCli } = commandLine(program, new URL("../src/cli.ts", import.meta.url));
