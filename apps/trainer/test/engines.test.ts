import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli";
import { writeTinyCodes } from "./tiny-codes";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar engines "));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const pretrain = (engine: string) =>
  runCli(
    `pretrain --width 32 --layers 2 --heads 2 --batch-size 4 --steps 6 --warmup-steps 2 --log-every 1 --engine ${engine}`
      .split(" ")
      .concat("--codes", join(dir, "codes"), "--out", join(dir, engine)),
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

test("an engine that is not installed is refused with the reason", async () => {
  const { status, output } = await pretrain("tensorflow");
  if (status === 0) return expect(output).toMatch(/engine: .*tensorflow/);
  expect(status).toBe(1);
  expect(output).toContain("@tensorflow/tfjs-node-gpu");
  expect(output).toContain("--engine");
});
