import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { linksOf } from "../check-packages/links";
import { type Manifest, repositoryUrl, root, workspaces } from "../lib/workspace";

const published = workspaces().filter(({ manifest }) => !manifest.private);
const whole = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

test.each(published)("$folder says who made it, where it is kept and where to complain", ({ folder, manifest }) => {
  expect(manifest.repository).toEqual({ ...whole.repository, directory: folder });
  expect(manifest.homepage).toBe(`${repositoryUrl}/tree/main/${folder}#readme`);
  expect(manifest.bugs).toEqual({ url: `${repositoryUrl}/issues` });
  expect(manifest.author).toBe(whole.author);
  expect(manifest.keywords?.length).toBeGreaterThan(2);
});

test("links of a page are found, and code is left out", () => {
  const page = "[a](x/y.md#part), [![b](b.png)](https://c)\n```md\n[no](no.md)\n```\n[top](#top) `x[0](1)`";
  expect(linksOf(page)).toEqual(["x/y.md", "b.png", "https://c"]);
});
