import { join } from "node:path";
import { expect, test } from "vitest";
import { packageOf, reachableImports } from "../lib/imports";
import { root } from "../lib/workspace";

/** Libraries that take long to load. */
const HEAVY = /^(@tensorflow\/|onnxruntime-|sharp$|echarts$|@iconify-json\/|@huggingface\/|csv-parse$|tar-stream$)/;
/** What declarations may load: none of it reaches these. */
const LIGHT = [
  "@tensorar/cli",
  "@tensorar/core",
  "@tensorar/data/limits",
  "@tensorar/manifest",
  "@tensorar/sampler",
  "@tensorar/training/settings",
  "zod",
];

test.each(["trainer", "exporter"])("help of the %s loads none of what its commands need", (app) => {
  const imports = reachableImports(join(root, "apps", app, "src", "cli.ts"), { static: true });
  const entries = imports.map(({ specifier }) => specifier).filter((specifier) => packageOf(specifier) !== null);
  expect(entries).toContain("@tensorar/cli");
  expect(entries.filter((entry) => !LIGHT.includes(entry))).toEqual([]);
  // Seen with the imports of commands, the libraries are there: the test above can fail.
  const all = reachableImports(join(root, "apps", app, "src", "cli.ts"));
  expect(all.some(({ specifier }) => HEAVY.test(packageOf(specifier) ?? ""))).toBe(true);
});

test.each(LIGHT.filter((name) => name.startsWith("@tensorar/")))("%s is quick to load", (name) => {
  const [, folder, entry = "index"] = name.split("/") as [string, string, string?];
  const imports = reachableImports(join(root, "packages", folder, "src", `${entry}.ts`), { static: true });
  const packages = new Set(imports.flatMap(({ specifier }) => packageOf(specifier) ?? []));
  expect([...packages].filter((each) => HEAVY.test(each))).toEqual([]);
});
