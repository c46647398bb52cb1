import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderSource, imageGrid, loadCodes, openDataset, prepareDataset, savePng } from "@tensorar/data";
import { createStream } from "@tensorar/noise";
import { pretrainTask } from "@tensorar/training";
import { afterAll, beforeAll, expect, test } from "vitest";
import { variantEncoder } from "../src/augmentation";
import { runCli } from "./run-cli";
import { writeTinyTokenizer } from "./tiny-models";

let dir: string;
const SIZE = 6;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-augment-"));
  await mkdir(join(dir, "images", "noise"), { recursive: true });
  const random = createStream(5, "pixels");
  for (let i = 0; i < 8; i++) {
    const pixels = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => random.below(256));
    const picture = await imageGrid(pixels, { count: 1, height: SIZE, width: SIZE });
    await savePng(join(dir, "images", "noise", `${i}.png`), picture);
  }
  await prepareDataset(await folderSource(join(dir, "images")), { out: join(dir, "data"), size: SIZE });
  await writeTinyTokenizer(join(dir, "tokenizer"), { imageSize: SIZE });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs `codes` to a folder of the test. */
async function codes(output: string, flags: string, status = 0): Promise<string> {
  const paths = ["--data", join(dir, "data"), "--tokenizer", join(dir, "tokenizer"), "--output", join(dir, output)];
  const result = await runCli(["codes", ...paths, ...flags.split(" ").filter(Boolean)]);
  expect(result.status, `${flags}\n${result.output}`).toBe(status);
  return result.output;
}

const contents = async (folder: string): Promise<Record<string, string>> => {
  const names = (await readdir(join(dir, folder))).filter((name) => name.endsWith(".safetensors"));
  const files = names.map(async (name) => [name, (await readFile(join(dir, folder, name))).toString("hex")] as const);
  return Object.fromEntries(await Promise.all(files));
};

test("codes with variants: the same codes besides, and the same variants whatever the batch and the stops", async () => {
  await codes("plain", "");
  const output = await codes("augmented", "--augment flip,crop --crop-range 1.2 --batch-size 1");
  expect(output).toMatch(/variants of \d images \(flip, crop\) added/);
  expect(await contents("augmented")).toEqual(await contents("plain"));
  await codes("other", "--augment flip,crop --crop-range 1.2 --batch-size 5");
  const shards = await contents("augmented/augmented/shards");
  expect(await contents("other/augmented/shards")).toEqual(shards);
  await rm(join(dir, "other/augmented/shards/00000.safetensors"));
  await codes("other", "--augment flip,crop --crop-range 1.2 --resume");
  expect(await contents("other/augmented/shards")).toEqual(shards);

  const loaded = await loadCodes(join(dir, "other"));
  expect(loaded.augmented!.variants).toBe(11);
  const task = pretrainTask(loaded, { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 }, { batchSize: 4 });
  const { targets } = await task.batch(0);
  expect(targets).toMatchObject({ shape: [4, 9, 1] });
});

test("settings that do not go together are refused, and --overwrite removes variants", async () => {
  await codes("settings", "--augment flip");
  expect(await codes("settings", "--augment shift --resume", 1)).toMatch(/begun with augment \["flip"\]/);
  expect(await codes("settings", "--resume", 1)).toMatch(/give --augment as before/);
  expect(await codes("new", "--crop-range 1.2", 1)).toMatch(/belongs to --augment crop/);
  expect(await codes("new", "--augment crop", 1)).toMatch(/crop range 1.1: an image of 6 pixels becomes none larger/);
  expect(await readdir(dir)).not.toContain("new");
  await codes("settings", "--overwrite");
  expect((await loadCodes(join(dir, "settings"))).augmented).toBeUndefined();
});

test("what is encoded are the variants of the images to train on", async () => {
  const dataset = await openDataset(join(dir, "data"));
  const encode = async (pixels: Uint8Array) => Int32Array.from(pixels);
  const options = { augment: ["flip"], shift: 1, cropRange: 1.2 } as const;
  const flipped = await variantEncoder(dataset, { encode }, options, new AbortController().signal)([1, 0]);
  const images = await dataset.readImages([dataset.train[1]!, dataset.train[0]!]);
  const rows = (pixels: ArrayLike<number>) =>
    Array.from({ length: 2 * SIZE }, (_, y) =>
      Array.from({ length: SIZE }, (_, x) => Array.from({ length: 3 }, (_, c) => pixels[(y * SIZE + x) * 3 + c])),
    );
  expect(rows(flipped)).toEqual(rows(images).map((row) => row.reverse()));
});
