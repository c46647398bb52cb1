import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { type BuildFailure, build as esbuild, type Metafile } from "esbuild";
import { build as vite } from "vite";
import webpack from "webpack";
import type { Manifest } from "../lib/workspace";
import type { Problems } from "./checks";
import type { Tarball } from "./tarball";

/** Packages for Node alone; of the others every entry but `./node` is for browsers too. */
const NODE_ONLY = [
  "@tensorar/cli",
  "@tensorar/data",
  "@tensorar/evaluation",
  "@tensorar/exporter",
  "@tensorar/trainer",
  "@tensorar/training",
];

/** What a browser's program imports of these packages: `@tensorar/onnx/run`. */
export const browserEntries = (tarballs: readonly Tarball[]): string[] =>
  tarballs
    .map(({ workspace }) => workspace.manifest)
    .filter(({ name }) => !NODE_ONLY.includes(name))
    .flatMap(entriesOf);

const entriesOf = ({ name, exports = {} }: Manifest): string[] =>
  Object.keys(exports)
    .filter((entry) => entry !== "./node" && !entry.endsWith(".json"))
    .map((entry) => `${name}${entry.slice(1)}`);

const nameOf = (entry: string): string => entry.replace("@tensorar/", "").replaceAll("/", "-");

/** Writes a program for each entry that keeps all of it; returns their paths by name. */
function writePrograms(folder: string, entries: readonly string[]): Record<string, string> {
  mkdirSync(folder);
  const programs: Record<string, string> = {};
  for (const entry of entries) {
    const program = join(folder, `${nameOf(entry)}.mjs`);
    programs[nameOf(entry)] = program;
    writeFileSync(program, `import * as all from "${entry}";\nglobalThis.all = all;\n`);
  }
  return programs;
}

/** Bundles programs for browsers, with no stand-ins for Node's modules; returns what was not found. */
type Bundler = (project: string, programs: Readonly<Record<string, string>>) => Promise<Problems>;

const BROWSER = { bundle: true, splitting: true, format: "esm", platform: "browser", logLevel: "silent" } as const;

const BUNDLERS: Readonly<Record<string, Bundler>> = {
  async esbuild(project, entryPoints) {
    const options = { ...BROWSER, absWorkingDir: project, entryPoints, outdir: project, write: false };
    const { errors } = await esbuild(options).catch((failure: BuildFailure) => failure);
    return errors.map(({ text, location }) => `${location?.file}: ${text}`);
  },
  webpack(project, entry) {
    const options = { mode: "development", devtool: false, target: "web", context: project } as const;
    const compiler = webpack({ ...options, entry, output: { path: join(project, "webpack") } });
    return new Promise((resolve, reject) => {
      compiler?.run((error, stats) => {
        if (error || !stats) return reject(error);
        const { errors = [] } = stats.toJson({ all: false, errors: true, moduleTrace: true });
        resolve(errors.map(({ message, moduleName }) => `${moduleName}: ${message.split("\n")[0]}`));
      });
    });
  },
  async vite(project, input) {
    const warnings: string[] = [];
    const onwarn = ({ message }: { message: string }) => void warnings.push(message);
    const build = { write: false, minify: false, rolldownOptions: { input, onwarn } } as const;
    await vite({ root: project, configFile: false, logLevel: "silent", build });
    return warnings.filter((message) => message.includes("externalized for browser compatibility"));
  },
};

/** Each bundler on all entries, from a project that has the packages and their peers. */
export function bundles(project: string, entries: readonly string[]): [name: string, run: () => Promise<Problems>][] {
  const programs = writePrograms(join(project, "bundles"), entries);
  return Object.entries(BUNDLERS).map(([name, bundle]) => [name, () => bundle(project, programs)]);
}

/** What each entry adds to a page before anything is loaded later, in compressed bytes, without its peers such as TensorFlow.js. */
export async function bundledSizes(
  project: string,
  entries: readonly string[],
  peers: readonly string[],
): Promise<Map<string, number>> {
  const entryPoints = writePrograms(join(project, "sizes"), entries);
  const { metafile, outputFiles } = await esbuild({
    ...BROWSER,
    absWorkingDir: project,
    entryPoints,
    outdir: project,
    minify: true,
    write: false,
    metafile: true,
    external: peers.flatMap((peer) => [peer, `${peer}/*`]),
  });
  const contents = new Map(outputFiles.map(({ path, contents }) => [relative(project, path), contents]));
  const size = (output: string): number =>
    [...reached(metafile, output)].reduce((sum, each) => sum + gzipSync(contents.get(each)!, { level: 9 }).length, 0);
  return new Map(entries.map((entry) => [entry, size(`${nameOf(entry)}.js`)]));
}

/** An output and those that it imports at once. */
function reached({ outputs }: Metafile, output: string, seen = new Set<string>()): Set<string> {
  if (seen.has(output)) return seen;
  seen.add(output);
  for (const { path, kind, external } of outputs[output]?.imports ?? [])
    if (kind === "import-statement" && !external) reached({ inputs: {}, outputs }, path, seen);
  return seen;
}
