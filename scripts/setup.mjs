// Everything a fresh clone needs, with Node and npm alone: the pinned pnpm comes from the npm registry, packages install
// from the frozen lockfile, and every package is built. Plain JavaScript: it runs before anything is installed.
// A second run installs nothing and takes turbo's cached build: about a second.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { packageManager, engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

requireNode(engines.node);
process.env.TURBO_TELEMETRY_DISABLED = "1";
process.env.TURBO_NO_UPDATE_NOTIFIER = "1";
delete process.env.npm_config_loglevel; // `npm --silent` shall not hide why a step failed
// turbo starts each task through `pnpm`, which is a development dependency here and need not be installed globally.
process.env.PATH = `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH}`;
install();
build();

/** @param {string} range e.g. ">=20.19" */
function requireNode(range) {
  const [major, minor] = range.replace(">=", "").split(".").map(Number);
  const [ownMajor, ownMinor] = process.versions.node.split(".").map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  console.error(
    `TensorAR needs Node ${range}; this is ${process.version}. Install a newer one from https://nodejs.org.`,
  );
  process.exit(1);
}

/** Installs from the lockfile, unless this very lockfile was installed before. */
function install() {
  const lockHash = createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .digest("hex");
  const stamp = join(root, "node_modules", ".tensorar-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash) return;
  // From elsewhere, so that npm takes pnpm from its own cache: the one in node_modules might have to replace itself.
  delete process.env.npm_config_local_prefix;
  const pnpm = ["exec", "--yes", `--package=${packageManager}`, "--", "pnpm", "--dir", root];
  const quietly = ["--reporter=append-only", "--config.confirmModulesPurge=false"];
  const title = `Installing packages (${packageManager}, the first time takes a minute or two)`;
  step(title, npm(), [...pnpm, "install", "--frozen-lockfile", ...quietly], tmpdir());
  writeFileSync(stamp, lockHash);
}

function build() {
  const turbo = join(root, "node_modules", "turbo", "bin", "turbo");
  step("Building packages", [process.execPath, turbo], ["run", "build", "--output-logs=errors-only"]);
}

/** npm as [program, ...arguments]: the npm that started this script where there is one, since it needs no shell on any system. */
function npm() {
  const cli = process.env.npm_execpath;
  return cli && basename(cli).startsWith("npm-cli") ? [process.execPath, cli] : ["npm"];
}

/**
 * Runs a command in a folder. Its output is shown only if it fails.
 * @param {string} title
 * @param {string[]} program
 * @param {string[]} args
 */
function step(title, [command, ...first], args, cwd = root) {
  process.stdout.write(`${title} … `);
  const start = Date.now();
  const { status, error, stdout, stderr } = spawnSync(command, [...first, ...args], {
    cwd,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32" && command === "npm",
  });
  if (!error && status === 0) return console.log(`${((Date.now() - start) / 1000).toFixed(1)} s`);
  console.log("failed");
  console.error(`${stdout ?? ""}${stderr ?? ""}`);
  console.error(`Setting up failed at "${title}": ${error?.message ?? `${command} exited with ${status}`}`);
  process.exit(1);
}
