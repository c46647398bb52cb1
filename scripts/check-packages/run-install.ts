// Installs packages as a new user does: each alone, in an empty folder, by npm with its install scripts, from a registry of the
// packed tarballs, and runs the commands and the example of its README there. Needs a build. Takes a minute or two; folders as
// arguments, such as `packages/onnx`, name the packages to check. Prints `N passed, N failed`; fails if any failed.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { check, type Tally } from "./checks";
import { firstSteps } from "./install";
import { packAll } from "./pack-all";
import { withRegistry } from "./registry";

const wanted = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: 0 };
const parent = mkdtempSync(join(tmpdir(), "tensorar-install-"));
try {
  const tarballs = await packAll(tally, join(parent, "tarballs"));
  mkdirSync(join(parent, "alone"));
  await withRegistry(tarballs, async (registry) => {
    for (const tarball of tarballs) {
      const { folder, manifest } = tarball.workspace;
      if (manifest.publishConfig?.os !== undefined) continue; // comes with those that need it
      if (wanted.length > 0 && !wanted.includes(folder)) continue;
      const project = join(parent, "alone", basename(folder));
      await check(tally, `${folder}: first steps in an empty folder`, () => firstSteps(project, tarball, registry));
    }
  });
} finally {
  rmSync(parent, { recursive: true, force: true });
}
console.log(`Node ${process.version}: ${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed === 0 ? 0 : 1;
