import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings } from "@tensorar/cli";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyCodes } from "../../../packages/data/test/tiny-codes";
import { sampleCommand } from "../src/declarations/sample";
import { runCli } from "./run-cli";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar bad "));
  await writeTinyCodes(join(dir, "codes"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function refused(args: readonly string[]): Promise<string> {
  const { status, output } = await runCli(args);
  expect(status, output).toBe(1);
  expect(output).not.toMatch(/\n\s+at /); // no stack: this is the user's mistake, told in words
  return output;
}

test("a config file with an unknown key", async () => {
  const config = join(dir, "unknown.json");
  await writeFile(
    config,
    JSON.stringify({ codes: join(dir, "codes"), output: join(dir, "run"), steps: 1, learningrate: 1 }),
  );
  const output = await refused(["pretrain", "--config", config]);
  expect(output).toContain('unknown key "learningrate"');
  expect(output).toContain(config);
  expect(output).toContain("learningRate");
});

test("a value of the wrong kind names key, value and flag", async () => {
  const output = await refused([
    "pretrain",
    "--codes",
    join(dir, "codes"),
    "--output",
    join(dir, "run"),
    "--steps",
    "many",
  ]);
  expect(output).toContain('--steps "many": must be a whole number from 1 to 2147483647');
});

test("flags override the config file", async () => {
  const config = join(dir, "override.json");
  await writeFile(config, JSON.stringify({ codes: join(dir, "nowhere"), output: join(dir, "run"), steps: 1 }));
  const output = await refused(["pretrain", "--config", config, "--codes", join(dir, "elsewhere")]);
  expect(output).toContain(join(dir, "elsewhere"));
  expect(output).not.toContain("nowhere");
});

test("codes that are cut off", async () => {
  const whole = await readFile(join(dir, "codes", "codes.safetensors"));
  await writeTinyCodes(join(dir, "cut"));
  await writeFile(join(dir, "cut", "codes.safetensors"), whole.subarray(0, whole.length - 10));
  const output = await refused(["pretrain", "--codes", join(dir, "cut"), "--output", join(dir, "run"), "--steps", "1"]);
  expect(output).toContain(join(dir, "cut", "codes.safetensors"));
});

test("a window larger than the image, and a base model of another shape", async () => {
  const base = join(dir, "base");
  const made = await runCli([
    "pretrain",
    "--codes",
    join(dir, "codes"),
    "--output",
    base,
    "--width",
    "32",
    "--layers",
    "1",
    "--heads",
    "2",
    "--steps",
    "1",
    "--batch-size",
    "2",
  ]);
  expect(made, made.output).toMatchObject({ status: 0 });
  const finetune = [
    "finetune",
    "--base",
    base,
    "--codes",
    join(dir, "codes"),
    "--output",
    join(dir, "tuned"),
    "--steps",
    "1",
  ];
  expect(await refused([...finetune, "--window-size", "10"])).toMatch(/window.*10.*9/);

  const config = JSON.parse(await readFile(join(base, "config.json"), "utf8"));
  config.backbone.dim = 64;
  await writeFile(join(base, "config.json"), JSON.stringify(config));
  const output = await refused(finetune);
  expect(output).toContain(join(base, "model.safetensors"));
  expect(output).toMatch(/shape/);
});

test("a model folder that is not there", async () => {
  const output = await refused([
    "sample",
    "--model",
    join(dir, "missing"),
    "--tokenizer",
    join(dir, "missing"),
    "--output",
    join(dir, "x"),
  ]);
  expect(output).toContain(join(dir, "missing", "config.json"));
});

test("a preset fills in what is not given, and only that", async () => {
  const given = ["--model", "m", "--tokenizer", "t", "--output", "o", "--num-images", "7"];
  const settings = await readSettings(sampleCommand, [...given, "--preset", "rar-l"]);
  expect(settings).toMatchObject({
    guidance: "power-cosine",
    cfgScale: 15.5,
    power: 2.5,
    temperature: 1.02,
    numImages: 7,
  });
  await expect(readSettings(sampleCommand, [...given, "--preset", "rar-xs"])).rejects.toThrow(
    /--preset "rar-xs": must be one of .*rar-xxl/,
  );
});
