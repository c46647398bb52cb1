// Checks the packages as users get them: packed, linted, installed into one project outside this
// repository, where the first example of each README runs in three ways. Needs a build. Prints `N passed, N failed`; fails if any failed.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { readmeExample } from "../lib/readme";
import { hasSources } from "../lib/workspace";
import { browserEntries, bundledSizes, bundles } from "./bundles";
import { check, type Tally } from "./checks";
import { createProject, exampleImports, help, WAYS } from "./consumer";
import { links } from "./links";
import { packAll } from "./pack-all";
import { contents, lint, type Tarball, types } from "./tarball";
import { typeCheck } from "./type-check";

const tally: Tally = { passed: 0, failed: 0 };
const folder = mkdtempSync(join(tmpdir(), "tensorar-packages-"));
try {
  const tarballs = await packAll(tally, join(folder, "tarballs"));
  for (const tarball of tarballs) await checkTarball(tarball);
  await checkInstalled(join(folder, "project"), tarballs);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed === 0 ? 0 : 1;

async function checkTarball(tarball: Tarball): Promise<void> {
  const { folder } = tarball.workspace;
  await check(tally, `${folder}: contents`, () => contents(tarball));
  await check(tally, `${folder}: links`, () => links(tarball));
  await check(tally, `${folder}: publint`, () => lint(tarball));
  if (hasSources(tarball.workspace)) await check(tally, `${folder}: types resolve`, () => types(tarball));
}

async function checkInstalled(project: string, tarballs: readonly Tarball[]): Promise<void> {
  mkdirSync(project);
  const installed = await check(tally, "all tarballs install into an empty project", async () => {
    await createProject(project, tarballs);
    return [];
  });
  if (!installed) return;
  await checkBundles(project, tarballs);
  const written = tarballs.filter(({ workspace }) => hasSources(workspace));
  const examples = written.map(({ workspace }) => [basename(workspace.folder), readmeExample(workspace)] as const);
  await check(tally, "all examples as strict TypeScript, for ES modules and CommonJS", () =>
    typeCheck(project, Object.fromEntries(examples.flatMap(([name, program]) => (program ? [[name, program]] : [])))),
  );
  for (const tarball of written) {
    await checkExample(project, tarball);
    for (const bin of Object.keys(tarball.workspace.manifest.bin ?? {})) {
      await check(tally, `${tarball.workspace.folder}: ${bin} --help`, () => help(project, tarball, bin));
    }
  }
}

async function checkBundles(project: string, tarballs: readonly Tarball[]): Promise<void> {
  const entries = browserEntries(tarballs);
  for (const [name, run] of bundles(project, entries))
    await check(tally, `${name} bundles all ${entries.length} entries for browsers`, run);
  const peers = tarballs.flatMap(({ workspace }) => Object.keys(workspace.manifest.peerDependencies ?? {}));
  await check(tally, "sizes of all entries in a page, compressed, without peers", async () => {
    for (const [entry, size] of await bundledSizes(
      project,
      entries,
      peers.filter((name) => !name.startsWith("@tensorar/")),
    ))
      console.log(`    ${entry}: ${(size / 1000).toFixed(1)} KB`);
    return [];
  });
}

async function checkExample(project: string, tarball: Tarball): Promise<void> {
  const { folder, manifest } = tarball.workspace;
  const example = readmeExample(tarball.workspace);
  if (example === null && manifest.bin) {
    console.log(`- ${folder}: its README has no ts block; its commands are checked instead`);
    return;
  }
  if (example === null) {
    await check(tally, `${folder}: example`, () => ["README.md has no ts block; its first must be a program"]);
    return;
  }
  await check(tally, `${folder}: example needs the package and its peers only`, () => exampleImports(tarball, example));
  for (const [way, run] of Object.entries(WAYS)) {
    await check(tally, `${folder}: example ${way}`, () => run(project, basename(folder), example));
  }
}
