import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNpz } from "@tensorar/checkpoint/node";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli";

let dir: string;
const SIZE = 16;

/** Plain squares and discs of random colours, in one folder a class. */
async function drawShapes(): Promise<void> {
  for (const [shape, body] of [
    ["disc", '<circle cx="8" cy="8" r="6"'],
    ["square", '<rect x="3" y="3" width="10" height="10"'],
  ] as const) {
    await mkdir(join(dir, "shapes", shape), { recursive: true });
    for (let i = 0; i < 12; i++) {
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16" fill="white"/>${body} fill="hsl(${i * 30},80%,50%)"/></svg>`;
      await sharp(Buffer.from(svg))
        .png()
        .toFile(join(dir, "shapes", shape, `${i}.png`));
    }
  }
}

/** Runs a command whose paths, written as @name, lie in the test's folder. */
async function tensorar(command: string): Promise<string> {
  const args = command.split(" ").map((word) => (word.startsWith("@") ? join(dir, word.slice(1)) : word));
  const { status, output } = await runCli(args);
  expect(status, `${command}\n${output}`).toBe(0);
  return output;
}

const refusal = async (command: string): Promise<string> => {
  const { status, output } = await runCli(
    command.split(" ").map((word) => (word.startsWith("@") ? join(dir, word.slice(1)) : word)),
  );
  expect(status, output).toBe(1);
  expect(output).not.toMatch(/\n\s+at /);
  return output;
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-pipeline-"));
  await drawShapes();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("images become codes, models, samples, metrics and a page", { timeout: 180_000 }, async () => {
  await tensorar(`data --source folder --path @shapes --size ${SIZE} --validation-fraction 0.25 --output @run/data`);
  await tensorar(
    "tokenizer --data @run/data --output @tokenizer --channels 32 --channel-multipliers 1,1 --latent-channels 32 --codebook-size 16 --code-width 4 --steps 3 --batch-size 4 --precision float16",
  );
  await tensorar("codes --data @run/data --tokenizer @tokenizer --output @codes");
  const small = "--steps 3 --batch-size 4 --warmup-steps 1";
  await tensorar(`pretrain --codes @codes --output @run/training/base --width 32 --layers 1 --heads 2 ${small}`);
  await tensorar(
    `finetune --base @run/training/base --codes @codes --output @run/training/tuned --window-size 3 ${small}`,
  );
  const sample = "--tokenizer @tokenizer --num-images 6 --batch-size 4";
  await tensorar(`sample --model @run/training/base --output @run/samples/base ${sample}`);
  await tensorar(
    `sample --model @run/training/tuned --output @run/samples/tensorar ${sample} --drafts renoise --cfg-scale 1.5 --classes square,0`,
  );
  await tensorar(
    "evaluate --samples @run/samples/base --reference @run/data --tokenizer @tokenizer --output @run/evaluations/base.json",
  );
  await tensorar(
    "evaluate --samples @run/samples/tensorar --reference @run/data --tokenizer @tokenizer --model @run/training/tuned --codes @codes --output @run/evaluations/tensorar.json",
  );
  await tensorar("report --run @run --tokenizer @tokenizer");
  await tensorar("reconstruct --images @run/data --tokenizer @tokenizer --num-images 5 --batch-size 3 --output @lost");
  const lost = JSON.parse(await readFile(join(dir, "lost/metrics.json"), "utf8"));
  expect(lost.images).toBe(5);
  expect(lost.psnr).toBeGreaterThan(0);
  expect(lost.codebook.used).toBeGreaterThanOrEqual(1);
  const reconstructions = await openNpz(join(dir, "lost/reconstructions.npz"));
  expect(reconstructions.info("arr_0")).toMatchObject({ dtype: "uint8", shape: [5, SIZE, SIZE, 3] });
  await reconstructions.close();
  const again = await refusal("reconstruct --images @run/samples/base --tokenizer @nowhere --output @none");
  expect(again).toContain("nowhere");

  const { width, height } = await sharp(join(dir, "run/samples/tensorar/grid.png")).metadata();
  expect(width! * height!).toBeGreaterThanOrEqual(6 * 4 * SIZE * SIZE);
  const scores = JSON.parse(await readFile(join(dir, "run/evaluations/tensorar.json"), "utf8"));
  for (const kind of ["noisedTruth", "ownDrafts", "blanked"]) {
    expect(scores.draftAblation[kind].crossEntropy).toHaveLength(3);
    for (const value of scores.draftAblation[kind].crossEntropy) expect(value).toBeGreaterThan(0);
  }
  const page = await readFile(join(dir, "run/report.html"), "utf8");
  for (const section of ["What the comparison says", "Refinement by depth", "Metrics", "Training", "round trip"]) {
    expect(page).toContain(section);
  }
  const words = page.replace(/data:image\/png;base64,[A-Za-z0-9+/=]+/g, ""); // where NaN may stand by chance
  expect(words).not.toMatch(/NaN|undefined/);
});

test("the same seed draws the same images whatever the batch size", { timeout: 60_000 }, async () => {
  const sample = "sample --model @run/training/tuned --tokenizer @tokenizer --num-images 5";
  await tensorar(`${sample} --batch-size 5 --output @together`);
  await tensorar(`${sample} --batch-size 2 --output @apart`);
  const files = (await readdir(join(dir, "together"), { recursive: true })).filter((name) => name.includes("."));
  expect(files.sort()).toEqual([
    "checksums.txt",
    "grid.png",
    ...Array.from({ length: 5 }, (_, i) => `images/00000${i}.png`),
    "manifest.json",
    "refinement.png",
    "shards/00000.safetensors",
  ]);
  for (const file of files) {
    expect(await readFile(join(dir, "apart", file)), file).toEqual(await readFile(join(dir, "together", file)));
  }
});

test("requests that make no sense are refused by name", { timeout: 60_000 }, async () => {
  const sample = "sample --model @run/training/tuned --tokenizer @tokenizer --output @none";
  expect(await refusal(`${sample} --classes triangle`)).toMatch(/"triangle".*disc.*square/);
  expect(await refusal(`${sample} --interval 3`)).toContain("--guidance interval");
  expect(await refusal(`${sample} --temperature 0`)).toContain("--temperature");
  expect(await refusal("evaluate --samples @nowhere --reference @run/data --tokenizer @tokenizer")).toContain(
    "nowhere",
  );
});
