import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readmeExample } from "../lib/readme";
import { root } from "../lib/workspace";
import type { Problems } from "./checks";
import { exampleVersion, importedPackages, toCommonJs } from "./example";
import { runNode } from "./run-command";
import type { Tarball } from "./tarball";

const pnpm = join(root, "node_modules/pnpm/bin/pnpm.cjs");

/**
 * Makes the project of a user of all packages in `folder`, outside the workspace: tarballs, their peers, what examples need.
 * pnpm installs it, since its node_modules hides what a package did not declare, and since it has most of it in its store;
 * `overrides` makes the packages find each other's tarballs and not the registry. Install scripts stay off.
 */
export async function createProject(folder: string, tarballs: readonly Tarball[]): Promise<void> {
  const local = Object.fromEntries(tarballs.map(({ workspace, path }) => [workspace.manifest.name, `file:${path}`]));
  const beside = tarballs.flatMap(({ workspace }) => {
    const peers = Object.keys(workspace.manifest.peerDependencies ?? {});
    const names = [...peers, ...importedPackages(readmeExample(workspace) ?? "")];
    return names.map((name) => [name, exampleVersion(name, workspace.manifest)]);
  });
  const dependencies = {
    ...Object.fromEntries(beside.filter(([, version]) => version !== null)),
    ...local,
  };
  const settings = { packages: [], overrides: local, ignoreScripts: true, confirmModulesPurge: false };
  writeJson(join(folder, "package.json"), { name: "consumer", private: true, type: "module", dependencies });
  writeJson(join(folder, "pnpm-workspace.yaml"), settings); // JSON is YAML
  await runNode(folder, [pnpm, "install", "--prefer-offline", "--no-frozen-lockfile", "--reporter=append-only"]);
}

/** The README's example from an ES module and from CommonJS. */
export const WAYS = {
  "as an ES module": async (folder, name, program) => {
    writeFileSync(join(folder, `${name}.mjs`), program);
    return printed(await runNode(folder, [`${name}.mjs`]));
  },
  "from CommonJS": async (folder, name, program) => {
    writeFileSync(join(folder, `${name}.cjs`), toCommonJs(program));
    return printed(await runNode(folder, [`${name}.cjs`]));
  },
} satisfies Record<string, (folder: string, name: string, program: string) => Promise<Problems>>;

/** An example imports its package and that package's peers (or what its own tests install), and nothing else. */
export function exampleImports({ workspace: { manifest } }: Tarball, program: string): Problems {
  const names = importedPackages(program);
  const strangers = names.filter((name) => name !== manifest.name && exampleVersion(name, manifest) === null);
  return [
    ...(names.includes(manifest.name) ? [] : [`the example does not import ${manifest.name}`]),
    ...strangers.map((name) => `the example imports ${name}, which is neither the package nor one of its peers`),
  ];
}

/** `--help` of an installed command explains its use. */
export async function help(folder: string, { workspace: { manifest } }: Tarball, bin: string): Promise<Problems> {
  const script = join(folder, "node_modules", manifest.name, manifest.bin?.[bin] ?? "");
  const text = await runNode(folder, [script, "--help"]);
  return /usage/i.test(text) ? [] : [`"${bin} --help" does not say how to use it: ${text || "(nothing)"}`];
}

const printed = (output: string): Problems => (output.trim() ? [] : ["the example printed nothing"]);

const writeJson = (path: string, value: unknown) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
