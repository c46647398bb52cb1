import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire, Module } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { diagnose } from "../src/doctor";
import { spawnCli } from "./run-cli";

// pnpm starts Vitest with NODE_PATH, by which its packages are found from every folder.
beforeAll(() => {
  delete process.env.NODE_PATH;
  (Module as unknown as { _initPaths(): void })._initPaths();
});

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "tensorar doctor ")));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Puts a package into a folder's node_modules. */
function install(folder: string, name: string, program: string): string {
  const home = join(dir, folder, "node_modules", name);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ name, version: "4.22.0" }));
  writeFileSync(join(home, "index.js"), program);
  return join(home, "index.js");
}

const own = () => [join(dir, "own", "package.json")];

test("says what is missing and what to run", async () => {
  const text = await diagnose(own(), dir);
  expect(text).toMatch(/^tensorar \d+\.\d+\.\d+ on Node \d+\.\d+\.\d+, \w+ \w+\n.*GiB of memory/);
  expect(text).toContain("onnxruntime-node: it is not installed");
  expect(text).toContain("  to install it: npm install --ignore-scripts onnxruntime-node\n");
  expect(text).toContain("@tensorflow/tfjs-node-gpu: it is not installed");
  expect(text).toContain("  to install it: npm install @tensorflow/tfjs-node,");
  expect(text).toContain("sharp: it is not installed");
  expect(text).not.toContain("works");
});

test("tries the tensorflow backend out", async () => {
  const tfjs = JSON.stringify(createRequire(import.meta.url).resolve("@tensorflow/tfjs-core"));
  const backend = `
    const tf = require(${tfjs});
    tf.registerBackend("tensorflow", () => new (class extends tf.KernelBackend {
      write(values, shape, dtype) { return { values, shape, dtype }; }
      incRef() {} decRef() {} numDataIds() { return 0; } floatPrecision() { return 32; }
      disposeData() { return true; } readSync({ values }) { return values; }
    })());
    tf.registerKernel({ backendName: "tensorflow", kernelName: "Add", kernelFunc: () => ADD });`;
  const failing = install("own", "@tensorflow/tfjs-node-gpu", "throw new Error('libcudart.so.11.0: cannot open');");
  const working = install("own", "@tensorflow/tfjs-node", backend.replace("ADD", "tf.tensor([2])"));
  const text = await diagnose(own(), dir);
  expect(text).toContain(`tfjs-node-gpu 4.22.0: libcudart.so.11.0: cannot open\n    ${failing}\n`);
  expect(text).toContain(`tfjs-node 4.22.0: works, and is used\n    ${working}\n`);
  install("own", "@tensorflow/tfjs-node", backend.replace("ADD", "nothing()"));
  expect(await diagnose(own(), dir)).toContain(`tfjs-node 4.22.0: nothing is not defined\n    ${working}\n`);
});

test("names packages of the current folder and runs none of them", async () => {
  const packages = ["onnxruntime-node", "@tensorflow/tfjs-node"];
  const marks = packages.map((_, i) => join(dir, `${i} was run`));
  const paths = packages.map((name, i) =>
    install("current", name, `require("node:fs").writeFileSync(${JSON.stringify(marks[i])}, "");`),
  );
  const text = await diagnose(own(), join(dir, "current"));
  expect(text).toContain(`onnxruntime-node: it is not installed\n    --engine onnx runs ${paths[0]}`);
  expect(text).toContain(`tfjs-node: it is not installed\n    --engine tensorflow runs ${paths[1]}`);
  for (const mark of marks) expect(existsSync(mark)).toBe(false);
});

test("tensorar doctor finds what the trainer depends on", { timeout: 60_000 }, async () => {
  const { status, output } = await spawnCli(["doctor"]);
  expect(status, output).toBe(0);
  expect(output).toMatch(
    /onnx.*:\n {2}onnxruntime-node \d.*: works, and is used\n.*onnxruntime-node.*\n {4}cpu works\n/,
  );
  expect(output).toMatch(/Images:\n {2}sharp \d.*: works/);
});
