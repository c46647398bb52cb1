import { mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadModel } from "@tensorar/model/node";
import { textEncoderOf } from "@tensorar/text-encoder/node";
import { openCaptionFeatures } from "@tensorar/training";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../../../packages/data/test/data-helpers";
import { writeTinyEncoder } from "../../../packages/text-encoder/test/folders";
import { runCli } from "./run-cli";
import { TINY_T2I, writeTinyModel, writeTinyTokenizer } from "./tiny-models";

const root = temporaryFolder();
const path = (name: string) => join(root, name);
const COUNT = 24;
const FEW_STEPS = ["--steps", "3", "--batch-size", "4", "--warmup-steps", "1", "--threads", "1", "--window-size", "2"];

async function succeed(...args: string[]): Promise<string> {
  const { status, output } = await runCli(args);
  expect(status, output).toBe(0);
  return output;
}

async function refused(...args: string[]): Promise<string> {
  const { status, output } = await runCli(args);
  expect(status, output).toBe(1);
  expect(output).not.toMatch(/\n\s+at /);
  return output;
}

beforeAll(async () => {
  await mkdir(path("images"), { recursive: true });
  const lines = ["image,caption,class"];
  for (let i = 0; i < COUNT; i++) {
    const background = { r: 10 * i, g: 255 - 10 * i, b: 128 };
    const image = sharp({ create: { width: 6, height: 6, channels: 3, background } });
    await image.png().toFile(join(path("images"), `${i}.png`));
    lines.push(`images/${i}.png,${["a red heart", "a blue star", "", "a purple a a a a"][i % 4]},heart`);
  }
  await writeFile(path("all.csv"), lines.join("\n"));
  await succeed("data", "--source", "csv", "--path", path("all.csv"), "--size", "6", "--output", path("data"));
  await writeTinyTokenizer(path("tokenizer"));
  await succeed("codes", "--data", path("data"), "--tokenizer", path("tokenizer"), "--output", path("codes"));
  await writeTinyModel(path("base"), { backbone: TINY_T2I, classes: [], windowSize: 1 });
  await mkdir(join(path("base"), "text-encoder"));
  await writeTinyEncoder(join(path("base"), "text-encoder"));
});

const encode = (out: string, ...args: string[]) => [
  "captions",
  "--encoder",
  join(path("base"), "text-encoder"),
  "--data",
  path("data"),
  "--output",
  path(out),
  ...args,
];

test("features of a data set train a model of captions, which keeps its text encoder", async () => {
  const output = await succeed(...encode("features", "--dtype", "float16"));
  expect(output).toContain("captions cut to the first 5 tokens: 1; the longest has 7");
  expect(output).toContain('captions with words that the text encoder does not know: 1; such as "purple"');
  const features = await openCaptionFeatures(path("features"));
  expect(features).toMatchObject({ images: COUNT, maxLength: 5, width: 8, dtype: "float16", padding: "left" });
  // Images without a caption show their class.
  expect((await features.read(2, 0)).mask).toEqual(Float32Array.of(0, 0, 0, 1, 1));

  const finetune = ["finetune", "--base", path("base"), "--codes", path("codes"), ...FEW_STEPS];
  await succeed(...finetune, "--captions", path("features"), "--output", path("tuned"));
  expect((await loadModel(path("tuned"))).textEncoder).toBe("../base/text-encoder");
  expect(await textEncoderOf(path("tuned"))).toBe(join(path("base"), "text-encoder"));
  await succeed(
    "sample",
    "--model",
    path("tuned"),
    "--prompt",
    "a red heart",
    "--num-images",
    "2",
    "--output",
    path("samples"),
  );

  expect(await refused(...finetune, "--output", path("none"))).toContain("make them with `tensorar captions`");
  await writeTinyModel(path("wide"), { backbone: { ...TINY_T2I, caption_dim: 9 }, classes: [], windowSize: 1 });
  const wide = ["finetune", "--base", path("wide"), "--codes", path("codes"), ...FEW_STEPS];
  expect(await refused(...wide, "--captions", path("features"), "--output", path("none"))).toMatch(
    /features makes features of 5 positions of width 8, but the model takes 5 positions of width 9/,
  );
});

test("a shard cut short is found, and made again by --resume", async () => {
  await succeed(...encode("cut"));
  expect(await refused(...encode("cut"))).toContain("continue with --resume");
  const shard = join(path("cut"), "shards", "00000.safetensors");
  const whole = await readFile(shard, "base64");
  await truncate(shard, 500);
  const finetune = ["finetune", "--base", path("base"), "--codes", path("codes"), ...FEW_STEPS];
  expect(await refused(...finetune, "--captions", path("cut"), "--output", path("none"))).toMatch(
    /00000\.safetensors.*; continue with `tensorar captions --resume`/,
  );
  await succeed(...encode("cut", "--resume"));
  expect(await readFile(shard, "base64")).toBe(whole);
  await rm(join(path("cut"), "captions.json"));
  expect(await refused(...finetune, "--captions", path("cut"), "--output", path("none"))).toMatch(
    /captions\.json: there is no such file; expected features of captions/,
  );
});

test("features of other captions are refused", async () => {
  const csv = (await readFile(path("all.csv"), "utf8")).replace("a blue star", "a star");
  await writeFile(path("other.csv"), csv);
  await succeed("data", "--source", "csv", "--path", path("other.csv"), "--size", "6", "--output", path("other"));
  await succeed(...encode("others").map((arg) => (arg === path("data") ? path("other") : arg)));
  const finetune = ["finetune", "--base", path("base"), "--codes", path("codes"), ...FEW_STEPS];
  expect(await refused(...finetune, "--captions", path("others"), "--output", path("none"))).toMatch(
    /others holds features of the captions of another data set than that of the codes/,
  );
});
