import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { hasSources, type Manifest, root, type Workspace } from "../lib/workspace";
import type { Problems } from "./checks";
import { runNode } from "./run-command";

const require = createRequire(import.meta.url);
const pnpm = join(root, "node_modules/pnpm/bin/pnpm.cjs");

export interface Tarball {
  readonly workspace: Workspace;
  /** Absolute path of the .tgz. */
  readonly path: string;
  /** Paths inside it, without the leading `package/`. */
  readonly files: readonly string[];
}

/** Packs a workspace as `pnpm publish` would: workspace ranges become versions, and the root's LICENSE comes along. */
export async function pack(workspace: Workspace, folder: string): Promise<Tarball> {
  await runNode(workspace.path, [pnpm, "pack", "--pack-destination", folder]);
  const { name, version } = workspace.manifest;
  const filename = join(folder, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);
  // Listed from the archive itself: pnpm's own list lacks the LICENSE that it takes from the root.
  const listed = execFileSync("tar", ["-tzf", basename(filename)], { cwd: dirname(filename), encoding: "utf8" });
  const files = listed
    .trim()
    .split(/\r?\n/)
    .map((file) => file.replace(/^package\//, ""));
  return { workspace, path: filename, files };
}

/** publint's opinion: exports, types and module format agree with the files. Suggestions count as problems too. */
export async function lint({ path }: Tarball): Promise<Problems> {
  const { buffer } = new Uint8Array(readFileSync(path));
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: buffer } });
  return messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code);
}

/**
 * Are the types right? ("Are the types wrong?" says no.) Profile node16 is every resolution but the one of Node 10, which knows
 * no `exports`.
 */
export async function types({ path }: Tarball): Promise<Problems> {
  const manifest = require.resolve("@arethetypeswrong/cli/package.json");
  const { bin } = require(manifest) as { bin: Record<string, string> };
  const attw = join(manifest, "..", bin.attw ?? "");
  await runNode(root, [attw, path, "--profile", "node16", "--format", "ascii", "--no-emoji"]);
  return [];
}

const REQUIRED = ["package.json", "README.md", "LICENSE"];
const UNWANTED =
  /(^|\/)(test|tests|__fixtures__|node_modules|\.turbo)\/|\.(test|spec|bench)\.|\.tsbuildinfo$|tsconfig.*\.json$/;

/** The right files are in the tarball and no others, and package.json says what bundlers and Node need to know. */
export function contents({ workspace, files }: Tarball): Problems {
  const { folder, manifest } = workspace;
  const missing = [...REQUIRED, ...targets(manifest)].filter((path) => !files.includes(path));
  return [
    ...missing.map(
      (path) => `${path} is missing; found ${files.filter((file) => !file.startsWith("src/")).join(", ")}`,
    ),
    ...files.filter((path) => UNWANTED.test(path)).map((path) => `${path} does not belong in a package`),
    ...(manifest.sideEffects === undefined && folder.startsWith("packages/") && hasSources(workspace)
      ? ['package.json lacks "sideEffects"']
      : []),
  ];
}

/** Every file that `exports` and `bin` name. */
function targets({ exports, bin }: Manifest): string[] {
  const named = (value: unknown): string[] => {
    if (typeof value === "string") return [value];
    return value && typeof value === "object" ? Object.values(value).flatMap(named) : [];
  };
  return [...named(exports), ...named(bin)].map((path) => path.replace(/^\.\//, ""));
}
