import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSamples, saveCodes } from "@tensorar/data";
import { createStream } from "@tensorar/noise";
import { readLog } from "@tensorar/training";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { runCli } from "./run-cli";
import { writeTinyTokenizer } from "./tiny-models";

const root = temporaryFolder();
const path = (...names: string[]) => join(root, ...names);
const COUNT = 20;

async function run(status: number, ...args: string[]): Promise<string> {
  const result = await runCli(args);
  expect(result.status, result.output).toBe(status);
  expect(result.output).not.toMatch(/\n\s+at /);
  return result.output;
}

const TINY = ["--width", "16", "--layers", "1", "--heads", "2", "--encoder-width", "8", "--encoder-heads", "2"];
const FEW = ["--steps", "4", "--batch-size", "4", "--warmup-steps", "1", "--threads", "1", "--validate-every", "2"];
const pretrain = (...args: string[]) => ["pretrain", "--codes", path("codes"), "--output", path("base"), ...args];

beforeAll(async () => {
  const random = createStream(5, "own-encoder");
  await saveCodes(path("codes"), {
    count: COUNT,
    grid: [3, 3],
    vocabSize: 16,
    classes: ["only"],
    dataset: "none",
    tokenizer: "none",
    captions: Array.from({ length: COUNT }, (_, i) => [`a ${i % 2 ? "red" : "blue"} heart`, "heart"]),
    codes: Int32Array.from({ length: COUNT * 9 }, () => random.below(16)),
    labels: new Int32Array(COUNT),
    train: Int32Array.from({ length: 12 }, (_, i) => i),
    validation: Int32Array.of(12, 13, 14, 15),
    test: Int32Array.of(16, 17, 18, 19),
  });
  await writeTinyTokenizer(path("tokenizer"));
});

test("a model of captions is trained, samples prompts with no further file, and is scored on chosen images", async () => {
  expect(await run(1, ...pretrain("--vocabulary", "100", ...FEW))).toContain(
    "--vocabulary 100 has no effect without --condition captions; give both, or leave it out",
  );
  await run(0, ...pretrain("--condition", "captions", "--vocabulary", "100", ...TINY, ...FEW));
  expect((await readLog(path("base"))).flatMap(({ step, heldOutLoss }) => (heldOutLoss ? [step] : []))).toEqual([2, 4]);

  const sample = ["sample", "--model", path("base", "best"), "--tokenizer", path("tokenizer"), "--num-images", "4"];
  const out = ["--output", path("samples"), "--threads", "1"];
  const output = await run(0, ...sample, "--prompt", "a red heart 心", "--cfg-scale", "2", ...out);
  expect(output).toContain('note: 1 text has words that the text encoder does not know: "心"');
  expect((await openSamples(path("samples"))).classes).toEqual(["a red heart 心"]);

  const sets = ["--samples", path("samples"), "--reference", path("samples"), "--tokenizer", path("tokenizer")];
  const scored = ["--model", path("base"), "--codes", path("codes"), "--threads", "1"];
  const evaluate = (split: string) => [
    "evaluate",
    ...sets,
    ...scored,
    "--split",
    split,
    "--output",
    path(`${split}.json`),
  ];
  await run(0, ...evaluate("test"));
  const { draftAblation } = JSON.parse(await readFile(path("test.json"), "utf8"));
  expect(draftAblation.ownDrafts.crossEntropy[0]).toBeCloseTo(Math.log(16), 1); // four steps from a head of zeros
  expect(await run(1, ...evaluate("combinations"))).toContain(
    `--split combinations: ${path("codes")} has no such images; choose another, or leave it out`,
  );
}, 240_000);
