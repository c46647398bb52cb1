import { exec, execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);
const executeLine = promisify(exec);

/** Nothing here takes a tenth of it: beyond is a hang. */
const TIMEOUT_MS = 300_000;

/**
 * Runs a JavaScript program under this Node in `folder` and returns what it printed.
 * @throws {Error} with the program's whole output, if it fails
 */
export const runNode = (folder: string, args: readonly string[]): Promise<string> =>
  run(folder, `node ${args.join(" ")}`, (options) => execute(process.execPath, [...args], options));

/** Runs one line of shell in the same way, with `env` on top of the environment. */
export const runShell = (folder: string, line: string, env: Readonly<Record<string, string>>): Promise<string> =>
  run(folder, line, (options) => executeLine(line, { ...options, env: { ...options.env, ...env } }));

interface Options {
  readonly cwd: string;
  readonly timeout: number;
  readonly maxBuffer: number;
  readonly env: NodeJS.ProcessEnv;
}

async function run(
  folder: string,
  title: string,
  start: (options: Options) => Promise<{ stdout: string }>,
): Promise<string> {
  try {
    const env = { ...process.env, NODE_PATH: "" }; // by which pnpm lets tools find what they did not declare
    return (await start({ cwd: folder, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024, env })).stdout;
  } catch (error) {
    const { stdout, stderr, code, signal } = error as {
      stdout: string;
      stderr: string;
      code?: number;
      signal?: string;
    };
    throw new Error(`${title} ended with ${signal ?? code} in ${folder}\n${stdout}${stderr}`);
  }
}
