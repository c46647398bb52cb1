// Everything a fresh clone needs, with Node and npm alone: the pinned pnpm comes from the npm registry,
// packages install from the frozen lockfile, and every package is built. A second run takes a few seconds.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { packageManager, engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `TensorAR needs Node ${engines.node}; this is ${process.version}. Install a newer one from https://nodejs.org.`,
  );
  process.exit(1);
}

function run(title, command, args) {
  console.log(`> ${title}`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", npm_config_yes: "true" },
  });
  if (error) throw error;
  if (status !== 0) {
    console.error(`Setting up failed at: ${title}`);
    process.exit(status ?? 1);
  }
}

const lockHash = createHash("sha256")
  .update(readFileSync(join(root, "pnpm-lock.yaml")))
  .digest("hex");
const stamp = join(root, "node_modules", ".tensorar-lock");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lockHash) {
  run("install packages", "npm", [
    "exec",
    "--yes",
    `--package=${packageManager}`,
    "--",
    "pnpm",
    "install",
    "--frozen-lockfile",
  ]);
  writeFileSync(stamp, lockHash);
}
run("build", join(root, "node_modules", ".bin", "turbo"), ["run", "build", "--output-logs=errors-only"]);
