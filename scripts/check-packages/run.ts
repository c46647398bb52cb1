// Checks the packages as users get them: packed, linted, installed into one project outside this
// repository, where the first example of each README runs in three ways. Needs a build. Prints `N passed, N failed`; fails if any failed.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { readmeExample } from "../lib/readme";
import { hasSources } from "../lib/workspace";
import { check, type Tally } from "./checks";
import { createProject, exampleImports, help, WAYS } from "./consumer";
import { links } from "./links";
import { packAll } from "./pack-all";
import { contents, lint, type Tarball, types } from "./tarball";

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
  for (const tarball of tarballs.filter(({ workspace }) => hasSources(workspace))) {
    await checkExample(project, tarball);
    for (const bin of Object.keys(tarball.workspace.manifest.bin ?? {})) {
      await check(tally, `${tarball.workspace.folder}: ${bin} --help`, () => help(project, tarball, bin));
    }
  }
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
