import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../lib/workspace";

const HEAVY = ["@tensorflow/tfjs-core", "onnxruntime-node"];

/** Packages that a command line loads, of those that take seconds. Both are CommonJS, so that their files are in its cache. */
function loaded(app: string, ...args: string[]): string[] {
  const preload = `
    import { createRequire } from "node:module";
    const { cache } = createRequire(${JSON.stringify(import.meta.url)});
    process.on("exit", () => process.stderr.write("loaded " + JSON.stringify(Object.keys(cache))));`;
  const imports = ["tsx", `data:text/javascript,${encodeURIComponent(preload)}`].flatMap((each) => ["--import", each]);
  const flags = [...imports, "--conditions=@tensorar/source"];
  const { stderr } = spawnSync(process.execPath, [...flags, join(root, app, "src/cli.ts"), ...args], {
    cwd: root,
    encoding: "utf8",
  });
  const files: string[] = JSON.parse(/loaded (\[.*\])/.exec(stderr)![1]!);
  return HEAVY.filter((name) => files.some((file) => file.includes(`/node_modules/${name}/`)));
}

test.each(["apps/trainer", "apps/exporter"])("help of %s appears without TensorFlow.js and ONNX Runtime", (app) => {
  expect(loaded(app, "--help")).toEqual([]);
});

test("what a command loads is seen", () => {
  expect(loaded("apps/trainer", "convert", "--from", "rar", "--output", "none")).toContain("@tensorflow/tfjs-core");
  expect(loaded("apps/exporter", "verify", "no export")).toContain("onnxruntime-node");
});
