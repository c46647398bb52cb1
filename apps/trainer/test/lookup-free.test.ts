import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCodes } from "@tensorar/data";
import { TOKENIZER_KINDS } from "@tensorar/tokenizer";
import { loadTokenizer } from "@tensorar/tokenizer/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyDataset } from "../../../packages/data/test/tiny-dataset";
import { runCli } from "./run-cli";

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-lookup-free-"));
  await writeTinyDataset(join(dir, "data"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function tensorar(command: string, status = 0): Promise<string> {
  const result = await runCli(command.split(" ").map((word) => word.replace(/^@/, `${dir}/`)));
  expect(result.status, `${command}\n${result.output}`).toBe(status);
  return result.output;
}

test("a lookup-free tokenizer from images, and codes from it", async () => {
  const train =
    "tokenizer --data @data --output @tokenizer --kind magvit2 --channel-multipliers 1,1 --steps 2 --batch-size 4";
  expect(await tensorar(`${train} --codebook-size 500`, 1)).toMatch(/use a power of two, such as 512/);
  expect(await tensorar(`${train} --code-width 8`, 1)).toMatch(/--code-width 8 belongs to --kind vq/);
  await tensorar(`${train} --codebook-size 64 --entropy-ratio 0.2`);
  const { kind, config } = await loadTokenizer(join(dir, "tokenizer"), TOKENIZER_KINDS);
  expect([kind, config]).toEqual([
    "magvit2",
    expect.objectContaining({ z_channels: 6, resolution: 8, codebook_weight: 0.2 }),
  ]);
  expect(await tensorar("codes --data @data --tokenizer @tokenizer --output @codes")).toMatch(/of 64 codes in use/);
  expect(await loadCodes(join(dir, "codes"))).toMatchObject({ vocabSize: 64, grid: [4, 4] });
});
