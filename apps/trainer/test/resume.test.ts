import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "./run-cli";
import { writeTinyCodes } from "./tiny-codes";

let dir: string;
const model = ["--width", "32", "--layers", "2", "--heads", "2"];
const recipe = [
  "--batch-size",
  "4",
  "--steps",
  "9",
  "--warmup-steps",
  "3",
  "--checkpoint-every",
  "2",
  "--log-every",
  "1",
  "--threads",
  "2",
];
const weights = (run: string) => readFile(join(dir, run, "model.safetensors"));
const losses = async (run: string) => {
  const lines = (await readFile(join(dir, run, "log.jsonl"), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as { step: number; loss: number }).map(({ step, loss }) => [step, loss]);
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar resume "));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const pretrain = (out: string, ...more: string[]) => [
  "pretrain",
  "--codes",
  join(dir, "codes"),
  "--out",
  join(dir, out),
  ...model,
  ...recipe,
  ...more,
];
const finetune = (out: string, ...more: string[]) => [
  "finetune",
  "--codes",
  join(dir, "codes"),
  "--base",
  join(dir, "base"),
  "--out",
  join(dir, out),
  ...recipe,
  ...more,
];

describe("a run that was killed continues bit for bit", () => {
  test("base model, kill -9 after a checkpoint", async () => {
    expect(await runCli(pretrain("base"))).toMatchObject({ status: 0 });
    const slow = pretrain("killed", "--engine", "onnx");
    const killed = await runCli(slow, { when: /base model: 1\/9/, signal: "SIGKILL" });
    expect(killed.status).toBeNull();
    const resumed = await runCli([...slow, "--resume"]);
    expect(resumed).toMatchObject({ status: 0 });
    expect(await weights("killed")).toEqual(await weights("base"));
    expect(await losses("killed")).toEqual(await losses("base"));
  });

  test("TensorAR on its own drafts, stopped at some step and continued", async () => {
    const self = ["--inputs", "self", "--window-size", "3"];
    expect(await runCli(finetune("whole", ...self))).toMatchObject({ status: 0 });
    const parts = (...steps: string[]) =>
      finetune("parts", ...self).map((arg, i, all) => (all[i - 1] === "--steps" ? steps[0]! : arg));
    expect(await runCli(parts("5"))).toMatchObject({ status: 0 });
    await rm(join(dir, "parts", "model.safetensors"));
    expect(await runCli([...parts("9"), "--resume"])).toMatchObject({ status: 0 });
    expect(await weights("parts")).toEqual(await weights("whole"));
    expect(await losses("parts")).toEqual(await losses("whole"));
  });

  test("Ctrl-C leaves a checkpoint and says how to go on", async () => {
    const args = pretrain("interrupted", "--steps", "100000", "--checkpoint-every", "100000");
    const { status, output } = await runCli(args, { when: /base model: 1\//, signal: "SIGINT" });
    expect(status).toBe(130);
    expect(output).toMatch(/stopped at step \d+; continue with --resume/);
    const step = Number(/stopped at step (\d+)/.exec(output)?.[1]);
    expect(await readdir(join(dir, "interrupted", "checkpoints"))).toEqual([`step-${String(step).padStart(8, "0")}`]);
  });
});

describe("runs are not overwritten or mixed up", () => {
  test("an existing run needs --resume", async () => {
    const { status, output } = await runCli(pretrain("base"));
    expect(status).toBe(1);
    expect(output).toContain("already holds a run");
  });

  test("a resumed run keeps its recipe", async () => {
    const { status, output } = await runCli(pretrain("base", "--resume", "--learning-rate", "0.5"));
    expect(status).toBe(1);
    expect(output).toMatch(/learningRate was 0.001, now 0.5/);
  });
});
