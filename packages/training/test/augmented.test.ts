import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Codes, loadCodes } from "@tensorar/data";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyCodes } from "../../data/test/tiny-codes";
import { pretrainTask } from "../src/index";

let dir: string;
let codes: Codes;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tensorar-augmented-"));
  await writeTinyCodes(dir);
  codes = await loadCodes(dir);
});
afterAll(() => rm(dir, { recursive: true }));

const SIZES = { dim: 16, n_layer: 1, n_head: 2, multiple_of: 8 };
const T = 9;

/** Codes of variant m of image i are all (i + m) mod 5; those of the images themselves are all 10. */
function augmentedCodes(): Codes {
  return {
    ...codes,
    codes: new Int32Array(codes.count * T).fill(10),
    augmented: {
      variants: 3,
      read: async (images, variants) =>
        Int32Array.from({ length: images.length * T }, (_, i) => {
          const at = Math.floor(i / T);
          return (images[at]! + variants[at]!) % 5;
        }),
    },
  };
}

/** The first codes of the images of some batches, and of their conditions. */
async function firstCodes(batchSize: number, batches: number): Promise<number[]> {
  const task = pretrainTask(augmentedCodes(), SIZES, { batchSize, seed: 7 });
  const out: number[] = [];
  for (let index = 0; index < batches; index++) {
    const { targets } = await task.batch(index);
    const data = (targets as { data: Int32Array }).data; // [B, T, 1]
    for (let image = 0; image < batchSize; image++) out.push(data[image * T]!);
  }
  return out;
}

test("an image itself is as likely as each of its variants, and every epoch draws anew", async () => {
  const epochs = 100;
  const drawn = await firstCodes(20, epochs); // an epoch a batch
  const whole = drawn.filter((code) => code === 10).length / drawn.length;
  // A quarter, ± 4 standard deviations of 2,000 draws.
  expect(Math.abs(whole - 1 / 4)).toBeLessThan(4 * Math.sqrt(3 / 16 / drawn.length));
  expect(drawn.slice(0, 20)).not.toEqual(drawn.slice(20, 40));
});

test("draws do not depend on the size of a batch", async () => {
  expect(await firstCodes(4, 15)).toEqual(await firstCodes(12, 5));
});

test("held-out images are never augmented", async () => {
  const { validation } = pretrainTask(augmentedCodes(), SIZES, { batchSize: 4 });
  const { targets } = (await validation!.batch(0)) as Record<string, { data: Int32Array }>;
  expect([...targets!.data]).toEqual(new Array(4 * T).fill(10));
});
