import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findOptional, type Places } from "./optional";

/** What was found of a package that may be absent. */
export interface PackageCheck {
  readonly name: string;
  /** The file that is loaded; undefined where the package is not installed. */
  readonly path?: string;
  readonly version?: string;
  /** Why it can't be used, in one line; undefined where it can. */
  readonly reason?: string;
  /** What the program returned. */
  readonly result?: unknown;
}

/**
 * Finds a package and tries it out, in a process of its own: a native library may end it, and two copies of one may be in each
 * other's way.
 *
 * @param program body of an async function of the `loaded` package and `args`, in CommonJS; what it returns is passed on as JSON
 */
export async function checkPackage(
  name: string,
  places: Places,
  program: string,
  args: readonly string[] = [],
): Promise<PackageCheck> {
  const path = findOptional(name, places);
  if (path === undefined) return { name, reason: "it is not installed" };
  return { name, path, ...versionOf(name, path), ...(await tryModule(path, program, args)) };
}

const TIMEOUT_MS = 60_000;

/** Marks the answer among what a package prints. */
const ANSWER = "answer of the check: ";

/** Runs a program, as of {@link checkPackage}, on a file that can be loaded. */
export function tryModule(
  path: string,
  program: string,
  args: readonly string[] = [],
): Promise<{ readonly result?: unknown; readonly reason?: string }> {
  const script = `
    const [path, ...args] = process.argv.slice(1);
    const answer = (value) => process.stdout.write("\\n${ANSWER}" + JSON.stringify(value) + "\\n", () => process.exit());
    const run = async () => {
      const loaded = require(path);
      ${program}
    };
    run().then(
      (result) => answer({ result }),
      (error) => answer({ reason: String(error.message ?? error).trim().split("\\n")[0] }),
    );`;
  return new Promise((resolve) => {
    execFile(process.execPath, ["-e", script, path, ...args], { timeout: TIMEOUT_MS }, (error, stdout) => {
      const answer = stdout.split("\n").find((line) => line.startsWith(ANSWER));
      if (answer !== undefined) resolve(JSON.parse(answer.slice(ANSWER.length)));
      else resolve({ reason: `it ended the process (${error?.signal ?? error?.code ?? "without an answer"})` });
    });
  });
}

/** From the package.json of that name above a file. */
function versionOf(name: string, file: string): { readonly version?: string } {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (manifest.name === name) return { version: manifest.version };
    } catch {
      // without one that can be read: the next folder up may have it
    }
  }
  return {};
}
