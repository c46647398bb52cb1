import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import parse from "@changesets/parse";
import { expect, test } from "vitest";
import { root, workspaces } from "../lib/workspace";

const folder = join(root, ".changeset");
const files = readdirSync(folder).filter((file) => file.endsWith(".md"));
const names = workspaces().map(({ manifest }) => manifest.name);

// One that can't be read stops every release.
test.skipIf(files.length === 0).each(files)("%s names packages and what changed in them", (file) => {
  const { releases, summary } = parse(readFileSync(join(folder, file), "utf8"));
  expect(releases.length).toBeGreaterThan(0);
  for (const { name } of releases) expect(names).toContain(name);
  expect(summary).not.toBe("");
});
