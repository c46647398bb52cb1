import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Codes, saveCodes } from "@tensorar/data";
import { commandLine } from "@tensorar/testing/command-line";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { program as exporterProgram } from "../../exporter/src/program";
import { runCli } from "./run-cli";
import { writeTinyTokenizer } from "./tiny-models";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** The backbone of the page on own backbones: 4 × 4 codes out of 11, three classes. */
const backbone = at("../../../packages/model/test/own-backbone.ts");

const exporter = commandLine(exporterProgram, new URL("../../exporter/src/cli.ts", import.meta.url));

test("the documented backbone trains, refines, samples, exports and verifies", { timeout: 300_000 }, async () => {
  const dir = temporaryFolder();
  const path = (name: string) => join(dir, name);
  const tensorar = async (command: string, ...args: readonly string[]) => {
    const { status, output } = await runCli([...command.split(" "), ...args]);
    expect(status, output).toBe(0);
  };
  const count = 12;
  const codes: Codes = {
    count,
    grid: [4, 4],
    vocabSize: 11,
    classes: ["a", "b", "c"],
    dataset: "d",
    tokenizer: "t",
    codes: Int32Array.from({ length: 16 * count }, (_, i) => (i * i) % 11),
    labels: Int32Array.from({ length: count }, (_, i) => i % 3),
    train: Int32Array.from({ length: 9 }, (_, i) => i),
    validation: Int32Array.of(9, 10, 11),
  };
  await saveCodes(path("codes"), codes);
  const tokenizer = await writeTinyTokenizer(path("tokenizer"), { imageSize: 8, codes: 11 });
  const own = ["--backbone", backbone];
  const short = ["--steps", "3", "--batch-size", "4", "--codes", path("codes"), ...own];
  await tensorar("pretrain", "--output", path("base"), ...short);
  await tensorar("finetune --window-size 3", "--base", path("base"), "--output", path("tuned"), ...short);
  expect(JSON.parse(await readFile(path("tuned/config.json"), "utf8"))).toMatchObject({
    kind: "own",
    tensorar: { windowSize: 3 },
  });
  const sources = ["--model", path("tuned"), "--tokenizer", tokenizer];
  await tensorar("sample --num-images 3", ...sources, ...own, "--output", path("samples"));
  const refusal = await runCli(["sample", ...sources, "--output", path("none")]);
  expect(refusal.status).toBe(1);
  expect(refusal.output).toContain('kind is "own", a backbone that this package does not have; give its file with');
  const exported = await exporter.run(["export", ...sources, ...own, "--output", path("export")]);
  expect(exported.status, exported.output).toBe(0);
  const verified = await exporter.run(["verify", path("export"), ...own]);
  expect(verified.status, verified.output).toBe(0);
  expect(verified.stdout).toMatch(/equals the eager model/);
});
