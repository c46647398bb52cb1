import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { readmeExample } from "../lib/readme";
import { hasSources, workspaces } from "../lib/workspace";

/** Programs of a README finish in seconds; ten times that is a hang. */
const TIMEOUT_MS = 60_000;

// From the sources, with the package's folder as working directory: Node resolves imports of a program on standard input
// from there, so the package finds itself by name, and its peers. (`npm run check:packages` does the same from tarballs.)
const readmes = workspaces()
  .filter(hasSources)
  .map((workspace) => ({ ...workspace, example: readmeExample(workspace) }))
  // An app is run by its command, so its README need not hold a program.
  .filter(({ folder, manifest, example }) => (folder.startsWith("packages/") && !manifest.private) || example !== null);

test.each(readmes)("the example of $folder/README.md runs and prints something", ({ path, example }) => {
  expect(example, "the README's first ts block").not.toBeNull();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@tensorar/source", "--import", import.meta.resolve("tsx"), "--input-type=module"],
    { cwd: path, input: example ?? "", encoding: "utf8", timeout: TIMEOUT_MS },
  );
  expect(status, stderr).toBe(0);
  expect(stdout.trim()).not.toBe("");
});
