import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeTinyCodes } from "../../../packages/data/test/tiny-codes";
import { runCli } from "./run-cli";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar engines "));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs a program in a folder; what it prints to stderr. */
function runProgram(program: string, folder: string): string {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
  const flags = ["--import", tsx, "--conditions=@tensorar/source", "--input-type=module", "--eval", program];
  return spawnSync(process.execPath, flags, { cwd: folder, encoding: "utf8" }).stderr;
}

const pretrain = (engine: string) =>
  runCli(
    `pretrain --width 32 --layers 2 --heads 2 --batch-size 4 --steps 6 --warmup-steps 2 --log-every 1 --engine ${engine}`
      .split(" ")
      .concat("--codes", join(dir, "codes"), "--output", join(dir, engine)),
  );

async function curves(engine: string): Promise<number[]> {
  const lines = (await readFile(join(dir, engine, "log.jsonl"), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).flatMap(({ loss, gradNorm }) => [loss, gradNorm]);
}

test("the compiled engine trains as the eager one does", { timeout: 60_000 }, async () => {
  const [onnx, cpu] = await Promise.all([pretrain("onnx"), pretrain("cpu")]);
  expect(onnx, onnx.output).toMatchObject({ status: 0, output: expect.stringMatching(/engine: .*onnx/i) });
  expect(cpu, cpu.output).toMatchObject({ status: 0, output: expect.stringMatching(/engine: .*cpu/) });
  const [compiled, eager] = [await curves("onnx"), await curves("cpu")];
  expect(compiled).toHaveLength(12);
  // Both compute in float32 and add in different orders; Adam's first steps divide small gradients by their own size.
  for (const [i, value] of compiled.entries()) expect(Math.abs(value - eager[i]!)).toBeLessThan(1e-3 * Math.abs(value));
});

describe("a package of the current folder", () => {
  const MARK = "was run";
  /** Chooses an engine in a folder that holds packages of these names; each says so when its code is run. */
  async function choose(engine: string) {
    const folder = join(dir, `for ${engine}`);
    for (const name of ["onnxruntime-node", "@tensorflow/tfjs-node", "@tensorflow/tfjs-node-gpu"]) {
      const home = join(folder, "node_modules", name);
      await mkdir(home, { recursive: true });
      await writeFile(join(home, "package.json"), JSON.stringify({ name, version: "1.0.0", main: "index.js" }));
      await writeFile(join(home, "index.js"), `console.error("${name} ${MARK}"); throw new Error("hostile");`);
    }
    const module = new URL("../../../packages/training/src/engine/choose-engine.ts", import.meta.url).href;
    // Without a binding of ONNX Runtime, auto goes on to TensorFlow.
    const program = `
      const { Module } = await import("node:module");
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (name, parent, ...rest) => {
        if (/^(@tensorar\\/)?onnxruntime-/.test(name) && !parent?.filename?.startsWith(process.cwd())) {
          throw Object.assign(new Error("Cannot find module '" + name + "'"), { code: "MODULE_NOT_FOUND" });
        }
        return resolve(name, parent, ...rest);
      };
      const { chooseEngine } = await import(${JSON.stringify(module)});
      try { console.error((await chooseEngine("${engine}", { threads: 1, note: console.error })).description); } catch (error) { console.error(error.message); }`;
    return runProgram(program, folder);
  }

  test("is not run for --engine auto", async () => {
    const output = await choose("auto");
    expect(output).not.toContain(MARK);
    expect(output).toContain(
      "engine: tfjs cpu backend (not available: ONNX Runtime can't be loaded: onnxruntime-node is not installed",
    );
  });

  test("is run for an engine that was named", async () => {
    expect(await choose("tensorflow")).toContain(`@tensorflow/tfjs-node ${MARK}`);
    expect(await choose("onnx")).toContain(`onnxruntime-node ${MARK}`);
  });
});

test("an engine that is not installed is refused with the reason", async () => {
  const { status, output } = await pretrain("tensorflow");
  if (status === 0) return expect(output).toMatch(/engine: .*tensorflow/);
  expect(status).toBe(1);
  expect(output).toContain("@tensorflow/tfjs-node-gpu");
  expect(output).toContain("--engine");
});
