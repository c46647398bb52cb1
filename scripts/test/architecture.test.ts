import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { packageOf, reachableImports, runtimeImports } from "../lib/imports";
import { hasSources, root, type Workspace, workspaces } from "../lib/workspace";

/**
 * Who may import whom: arrows point only downwards in this table, and nothing imports an app. `own` lists packages of this
 * repository; `libraries` says which others: none at all, or those that package.json declares, with or without tfjs-core, or with
 * the backends of tfjs too.
 */
const ALLOWED: Readonly<
  Record<
    string,
    { own: readonly string[]; libraries: "none" | "declared" | "declared, no tfjs" | "declared, all of tfjs" }
  >
> = {
  "packages/core": { own: [], libraries: "none" },
  "packages/cli": { own: ["core"], libraries: "declared, no tfjs" },
  "packages/noise": { own: ["core"], libraries: "none" },
  "packages/checkpoint": { own: ["core"], libraries: "none" },
  "packages/data": { own: ["core", "noise", "checkpoint"], libraries: "declared, no tfjs" },
  "packages/manifest": { own: ["core"], libraries: "declared, no tfjs" },
  "packages/program": { own: ["core"], libraries: "declared" },
  "packages/onnx": { own: ["core", "program"], libraries: "declared" },
  "packages/tokenizer": { own: ["core", "noise", "checkpoint", "program"], libraries: "declared" }, // noise: seeded initial weights
  "packages/model": { own: ["core", "noise", "checkpoint", "program"], libraries: "declared" },
  "packages/text": { own: ["core"], libraries: "declared, no tfjs" },
  "packages/text-encoder": { own: ["core", "checkpoint", "program", "model", "onnx", "text"], libraries: "declared" },
  "packages/sampler": { own: ["core", "noise", "model", "onnx"], libraries: "declared" }, // all but two for `graph`, as tested below
  "packages/pipeline": {
    own: [
      "core",
      "noise",
      "manifest",
      "sampler",
      "onnx",
      "checkpoint",
      "program",
      "model",
      "tokenizer",
      "text",
      "text-encoder",
    ],
    libraries: "declared", // tfjs only for model folders, as tested below
  },
  "packages/training": {
    own: [
      "core",
      "noise",
      "checkpoint",
      "data",
      "text",
      "text-encoder",
      "tokenizer",
      "program",
      "model",
      "sampler",
      "onnx",
    ],
    libraries: "declared, all of tfjs", // its engines are the backends
  },
  "packages/evaluation": {
    own: ["core", "noise", "checkpoint", "data", "text", "model", "onnx", "metrics", "training"],
    libraries: "declared",
  },
  "packages/metrics": { own: ["core", "checkpoint"], libraries: "declared" }, // tfjs only for its networks, as tested below
};

const SOURCES = workspaces().filter(hasSources);
const APPS = SOURCES.filter(({ folder }) => folder.startsWith("apps/"));
const PACKAGES = SOURCES.filter(({ folder, manifest }) => folder.startsWith("packages/") && !manifest.private);

test("every package is in the table", () => {
  expect(PACKAGES.map(({ folder }) => folder).sort()).toEqual(Object.keys(ALLOWED).sort());
});

test.each(SOURCES)("$folder imports only what its place allows", (workspace) => {
  const wrong = runtimeImports(join(workspace.path, "src")).flatMap(({ file, line, specifier }) => {
    const reason = objection(workspace, specifier);
    return reason ? [`${relative(root, file)}:${line} imports "${specifier}": ${reason}`] : [];
  });
  expect(wrong).toEqual([]);
});

// TensorFlow.js is an optional peer of metrics, onnx and sampler: only networks, tracing and graphs may need it.
test.each([
  { entry: "metrics/src/index.ts", allowed: ["@tensorar/core"] },
  { entry: "metrics/src/node.ts", allowed: ["@tensorar/checkpoint", "@tensorar/core"] },
  { entry: "onnx/src/run.ts", allowed: ["@tensorar/core"] },
  { entry: "sampler/src/index.ts", allowed: ["@tensorar/core", "@tensorar/noise"] },
  {
    entry: "pipeline/src/index.ts",
    allowed: [
      "@tensorar/core",
      "@tensorar/manifest",
      "@tensorar/noise",
      "@tensorar/onnx",
      "@tensorar/sampler",
      "fast-png",
      "onnxruntime-web",
    ],
  },
])("packages/$entry works without TensorFlow.js", ({ entry, allowed }) => {
  const imports = reachableImports(join(root, "packages", entry)).map(({ specifier }) => specifier);
  expect(imports.length).toBeGreaterThan(0);
  const packages = new Set(imports.flatMap((specifier) => packageOf(specifier) ?? []));
  expect([...packages].sort()).toEqual(allowed);
});

// The imports must be seen for the tests above to mean anything.
test("finds every way to import, and leaves types out", () => {
  const folder = mkdtempSync(join(tmpdir(), "imports-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = `
    import "a"; import b from "b"; import { c, type C } from "c/deep"; import * as d from "@scope/d/deep";
    export { e } from "e"; export * from "f"; const g = await import("g"); const h = require("h");
    import type { T } from "type"; import { type T } from "type"; export type { T } from "type"; type U = import("type").T;
    const text = 'import "text"'; // import "comment"`;
  writeFileSync(join(folder, "program.ts"), program);
  const names = runtimeImports(folder).map(({ specifier }) => packageOf(specifier));
  expect(names).toEqual(["a", "b", "c", "@scope/d", "e", "f", "g", "h"]);
});

/** Why `workspace` may not import `specifier` when it runs; null if it may. */
function objection({ folder, manifest }: Workspace, specifier: string): string | null {
  const name = packageOf(specifier);
  if (name === null || isBuiltin(specifier)) return null;
  if (name === manifest.name) return "a package imports its own files by path";
  if (APPS.some((app) => app.manifest.name === name)) return "nothing imports an app";
  if (!(name in { ...manifest.dependencies, ...manifest.peerDependencies }))
    return `not declared in ${folder}/package.json`;
  const allowed = ALLOWED[folder];
  if (!allowed) return null; // apps import what they declare
  if (name.startsWith("@tensorar/")) {
    return allowed.own.some((own) => name === `@tensorar/${own}`) ? null : "not below it in the table";
  }
  if (allowed.libraries === "none") return "this package has no dependencies";
  if (!name.startsWith("@tensorflow/")) return null;
  if (allowed.libraries === "declared, no tfjs") return "this package works on typed arrays";
  return name === "@tensorflow/tfjs-core" || allowed.libraries === "declared, all of tfjs"
    ? null
    : "packages import tfjs-core; which tfjs to load is the user's choice";
}
