import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cli = fileURLToPath(new URL("../src/cli.ts", import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly output: string;
}

/** When to send a signal: once the output matches, or after so many milliseconds. */
export interface Kill {
  readonly when: RegExp | number;
  readonly signal: NodeJS.Signals;
}

/** Runs the command line from its sources in a process of its own. */
export function runCli(args: readonly string[], kill?: Kill): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@tensorar/source", cli, ...args], {
      cwd: root,
    });
    let output = "";
    let killed = false;
    const timer = typeof kill?.when === "number" ? setTimeout(() => child.kill(kill.signal), kill.when) : undefined;
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      if (kill?.when instanceof RegExp && !killed && kill.when.test(output)) {
        killed = true;
        child.kill(kill.signal);
      }
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}
