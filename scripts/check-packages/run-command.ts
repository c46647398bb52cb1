import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Nothing here takes a tenth of it: beyond is a hang. */
const TIMEOUT_MS = 300_000;

/**
 * Runs a JavaScript program under this Node in `folder` and returns what it printed.
 * @throws {Error} with the program's whole output, if it fails
 */
export async function runNode(folder: string, args: readonly string[]): Promise<string> {
  try {
    const options = { cwd: folder, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 };
    return (await execute(process.execPath, [...args], options)).stdout;
  } catch (error) {
    const { stdout, stderr, code, signal } = error as {
      stdout: string;
      stderr: string;
      code?: number;
      signal?: string;
    };
    throw new Error(`node ${args.join(" ")} ended with ${signal ?? code} in ${folder}\n${stdout}${stderr}`);
  }
}
