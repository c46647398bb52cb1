import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { firstBlock, readmeExample } from "../lib/readme";
import { hasSources } from "../lib/workspace";
import type { Problems } from "./checks";
import { runNode, runShell } from "./run-command";
import type { Tarball } from "./tarball";

/**
 * What a new user does in an empty folder: the commands that a README begins with, `npm install` first, and then its example.
 * npm runs with its usual settings, install scripts included, but gets this repository's packages from `registry`. Install
 * scripts find no other host, as behind a firewall: onnxruntime-node's would download half a gigabyte.
 */
export async function firstSteps(folder: string, { workspace }: Tarball, registry: string): Promise<Problems> {
  const commands = firstBlock(workspace, "sh")?.trim().split("\n") ?? [];
  if (!commands[0]?.startsWith("npm install ")) return ["README.md's first sh block does not begin with npm install"];
  mkdirSync(folder);
  writeFileSync(
    join(folder, ".npmrc"),
    `@tensorar:registry=${registry}\nprefer-offline=true\naudit=false\nfund=false\n`,
  );
  const env = {
    PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    GLOBAL_AGENT_HTTPS_PROXY: "http://127.0.0.1:9", // nobody listens there
  };
  for (const command of commands) await runShell(folder, command, env);
  console.log(`    ${workspace.manifest.name}: ${Math.round(sizeOf(join(folder, "node_modules")) / 1e6)} MB installed`);
  if (workspace.manifest.optionalDependencies?.["onnxruntime-node"] !== undefined) await runNode(folder, FAST_ENGINE);
  const example = hasSources(workspace) ? readmeExample(workspace) : null;
  if (example === null) return [];
  writeFileSync(join(folder, "example.mjs"), example);
  return (await runNode(folder, ["example.mjs"])).trim() ? [] : ["the example printed nothing"];
}

/** ONNX Runtime is there, be it the part of it that needs no install script. */
const FAST_ENGINE = [
  "--input-type=module",
  "--eval",
  'import { loadRuntime } from "@tensorar/onnx/node"; loadRuntime([process.cwd() + "/package.json"]);',
];

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
