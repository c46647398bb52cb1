import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as ort from "onnxruntime-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadRuntime } from "../src/node";

let project: string;
beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), "runtime-")));
});
afterEach(() => rmSync(project, { recursive: true }));

function install(name: string, program: string): void {
  mkdirSync(join(project, "node_modules", name), { recursive: true });
  writeFileSync(join(project, "node_modules", name, "index.js"), program);
}

/** What a program in the project loads, or its error: in a process without NODE_PATH, by which pnpm's tools find everything. */
function loaded(): Record<string, unknown> {
  const program = `
    import { loadRuntime } from ${JSON.stringify(new URL("../src/node.ts", import.meta.url))};
    try {
      console.log(JSON.stringify(loadRuntime([${JSON.stringify(pathToFileURL(join(project, "program.js")))}])));
    } catch ({ name, code, message }) {
      console.log(JSON.stringify({ name, code, message }));
    }`;
  const { NODE_PATH: _, ...env } = process.env;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@tensorar/source", "--import", import.meta.resolve("tsx"), "--input-type=module", "-e", program],
    { cwd: project, encoding: "utf8", env },
  );
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("finds onnxruntime-node where a package has it", () => {
  expect(loadRuntime([import.meta.url]).InferenceSession).toBe(ort.InferenceSession);
});

const onLinux = process.platform === "linux" && process.arch === "x64";
test.skipIf(!onLinux)("takes the binding without install script where onnxruntime-node is absent or broken", () => {
  install("@tensorar/onnxruntime-linux-x64", "exports.from = 'ours';");
  expect(loaded()).toEqual({ from: "ours" });
  install("onnxruntime-node", "throw new Error('libonnxruntime.so.1: cannot open');");
  expect(loaded()).toEqual({ from: "ours" });
  install("onnxruntime-node", "exports.from = 'theirs';");
  expect(loaded()).toEqual({ from: "theirs" });
});

test("says what is missing or broken, and what to run", () => {
  expect(loaded()).toMatchObject({
    name: "TensorARError",
    code: "missing",
    message: expect.stringMatching(
      /onnxruntime-node is not installed;.* run `npm install --ignore-scripts onnxruntime-node`/,
    ),
  });
  install("onnxruntime-node", "throw new Error('libonnxruntime.so.1: cannot open\\nmore');");
  expect(loaded().message).toMatch(/onnxruntime-node: libonnxruntime.so.1: cannot open;/);
});
