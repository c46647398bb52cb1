import { Module } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { diagnose } from "../src/doctor";
import { runCli, spawnCli } from "./run-cli";

// pnpm starts Vitest with NODE_PATH, by which its packages are found from every folder.
beforeAll(() => {
  delete process.env.NODE_PATH;
  (Module as unknown as { _initPaths(): void })._initPaths();
});

test("says what to run where ONNX Runtime is missing", async () => {
  const text = await diagnose([join(tmpdir(), "nothing here", "package.json")]);
  expect(text).toMatch(/^tensorar-exporter \d+\.\d+\.\d+ on Node /);
  expect(text).toContain("  onnxruntime-node: it is not installed\n");
  expect(text.split("\n").at(-1)).toBe("  to install it: npm install --ignore-scripts onnxruntime-node");
});

test("tensorar-exporter doctor tries the providers", { timeout: 60_000 }, async () => {
  const { status, stdout, stderr } = await spawnCli("doctor");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/onnxruntime-node \d.*: works, and is used\n.*\n {4}cpu works\n/);
});

test("help names the command", async () => {
  const { stdout } = await runCli("doctor", "--help");
  expect(stdout).toContain("Usage: tensorar-exporter doctor");
  expect((await runCli("--help")).stdout).toMatch(/^ {2}doctor +say what this machine has/m);
});
