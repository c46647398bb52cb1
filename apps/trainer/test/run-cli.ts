import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cli = fileURLToPath(new URL("../src/cli.ts", import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the command line from its sources in a process of its own. `killWhen` sends `signal` once the output matches. */
export function runCli(
  args: readonly string[],
  kill?: { readonly when: RegExp; readonly signal: NodeJS.Signals },
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@tensorar/source", cli, ...args], {
      cwd: root,
    });
    let output = "";
    let killed = false;
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      if (kill && !killed && kill.when.test(output)) {
        killed = true;
        child.kill(kill.signal);
      }
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}
